import type { Family, Hostname } from '../net/types.ts'

export const TYPE_A = 1
export const TYPE_CNAME = 5
export const TYPE_AAAA = 28
export const CLASS_IN = 1
const TYPE_OPT = 41
/** Small enough never to be fragmented on the way, large enough for some 70 addresses. */
const UDP_PAYLOAD_BYTES = 1232
const RECURSION_DESIRED = 0x0100

/** A question as it stands in a message, and the key by which an answer's names are compared with it. */
export interface Question {
  readonly type: typeof TYPE_A | typeof TYPE_AAAA
  /** The name in wire form (length bytes and all) as latin1, lower case: a dot inside a label cannot pass for two labels. */
  readonly nameKey: string
}

/** The question for an absolute name. Throws a RangeError for a name that has no wire form (a label of 0 or over 63 bytes, over 253 in all). */
export function questionOf(name: Hostname, family: Family): Question {
  if (name.length > 253) throw new RangeError('a name of more than 253 characters cannot be asked for')
  let nameKey = ''
  for (const label of name.toLowerCase().split('.')) {
    if (!/^[a-z0-9_-]{1,63}$/.test(label))
      throw new RangeError('a name with such a label cannot be asked for')
    nameKey += String.fromCharCode(label.length) + label
  }
  return { type: family === 4 ? TYPE_A : TYPE_AAAA, nameKey: `${nameKey}\0` }
}

/** The message that asks it. With `edns` it says that answers up to 1,232 bytes may come by UDP; a few old servers refuse such. */
export function encodeQuestion(question: Question, id: number, edns: boolean): Buffer {
  const nameBytes = question.nameKey.length
  const message = Buffer.alloc(12 + nameBytes + 4 + (edns ? 11 : 0))
  message.writeUInt16BE(id, 0)
  message.writeUInt16BE(RECURSION_DESIRED, 2)
  message.writeUInt16BE(1, 4)
  message.write(question.nameKey, 12, 'latin1')
  message.writeUInt16BE(question.type, 12 + nameBytes)
  message.writeUInt16BE(CLASS_IN, 14 + nameBytes)
  if (edns) {
    message.writeUInt16BE(1, 10)
    message.writeUInt16BE(TYPE_OPT, 17 + nameBytes)
    message.writeUInt16BE(UDP_PAYLOAD_BYTES, 19 + nameBytes)
  }
  return message
}
