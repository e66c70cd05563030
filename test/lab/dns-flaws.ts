import { encode, type Packet } from 'dns-packet'

/** What can be wrong about an answer that is otherwise as it should be. */
export type Flaw =
  /** Too short to bear a header. */
  | 'short'
  /** Its last bytes are missing. */
  | 'cut'
  /** It says that it has more records than it has. */
  | 'count'
  /** The first record's name is a pointer to itself. */
  | 'pointer'
  /** After the question come 200 bytes of 0xff. */
  | 'noise'
  /** Another id: the answer to somebody else's question. */
  | 'id'
  /** It repeats another question. */
  | 'question'
  /** It repeats the question, and its records belong to another name. */
  | 'owner'

const ELSEWHERE = 'elsewhere.example'
const HEADER_BYTES = 12

export function encodeFlawed(reply: Packet, flaw: Flaw): Buffer {
  const bytes = encode(reply)
  switch (flaw) {
    case 'short':
      return bytes.subarray(0, 7)
    case 'cut':
      return bytes.subarray(0, -3)
    case 'count':
      bytes.writeUInt16BE(0xffff, 6)
      return bytes
    case 'pointer':
    case 'noise': {
      const questionEnd = endOfQuestion(bytes)
      const tail = Buffer.alloc(200, 0xff)
      if (flaw === 'pointer') tail.writeUInt16BE(0xc000 | questionEnd, 0)
      return Buffer.concat([bytes.subarray(0, questionEnd), tail])
    }
    case 'id':
      return encode({ ...reply, id: (reply.id ?? 0) ^ 1 })
    case 'question':
      return encode({ ...reply, questions: reply.questions?.map((one) => ({ ...one, name: ELSEWHERE })) })
    case 'owner':
      return encode({ ...reply, answers: reply.answers?.map((one) => ({ ...one, name: ELSEWHERE })) })
    default:
      return flaw satisfies never
  }
}

function endOfQuestion(bytes: Buffer): number {
  let at = HEADER_BYTES
  while (bytes[at] !== undefined && bytes[at] !== 0) at += 1 + (bytes[at] ?? 0)
  return at + 1 + 4
}
