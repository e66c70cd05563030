import { encode, type Answer, type DecodedPacket, type Packet } from 'dns-packet'
import { encodeFlawed, type Flaw } from './dns-flaws.ts'

/** What the lab's DNS server says to questions for one name. The first thing given of `turns`, `silent`, `raw`, `rcode` wins. */
export interface DnsScript {
  /** The questions of one type for the name get these in turn, round and round. */
  readonly turns?: readonly DnsScript[]
  readonly a?: readonly string[]
  readonly aaaa?: readonly string[]
  /** Beside `a`, so many IPv4 addresses that no earlier answer for the name had. */
  readonly freshAddresses?: number
  /** The target's own script is followed, so chains and loops can be made. */
  readonly cname?: string
  readonly txt?: readonly string[]
  /** Seconds, default 60. */
  readonly ttl?: number
  readonly rcode?: 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED'
  readonly silent?: boolean
  /** Questions go on to the server at this address, port 53, by UDP, as a recursive one hands them on. */
  readonly forward?: string
  /** Over UDP an empty answer with the TC flag; all of it over TCP. */
  readonly truncate?: boolean
  readonly delayMs?: number
  /** This message, in hex; its first two bytes are replaced by the question's id. */
  readonly raw?: string
  /** The answer, with this wrong about it. */
  readonly flaw?: Flaw
}

/** Names in lower case without a final dot; `*.parent` answers for every name below `parent` without an own script. */
export type DnsScripts = ReadonlyMap<string, DnsScript>

/** How a question came. */
export interface Asked {
  readonly transport: 'udp' | 'tcp'
  /** Questions of this type for this name that came before. */
  readonly turn: number
}

/** The answer to one question; undefined: none is sent. A name without a script is NXDOMAIN. */
export function answerTo(
  query: DecodedPacket,
  scripts: DnsScripts,
  { transport, turn }: Asked,
): Buffer | undefined {
  const question = query.questions?.[0]
  if (!question) return undefined
  const script = scriptFor(scripts, question.name, turn)
  if (script?.silent) return undefined
  if (script?.raw !== undefined) {
    const bytes = Buffer.from(script.raw, 'hex')
    if (bytes.length >= 2) bytes.writeUInt16BE(query.id ?? 0, 0)
    return bytes
  }
  const truncated = transport === 'udp' && script?.truncate === true
  const answers = script && !truncated ? records(question.name, question.type, scripts, turn) : []
  const rcode = script ? (script.rcode ?? 'NOERROR') : 'NXDOMAIN'
  const reply: Packet = {
    type: 'response',
    id: query.id ?? 0,
    // Recursion desired (as asked), recursion available, truncated, and the response code.
    flags: 0x0080 | ((query.flags ?? 0) & 0x0100) | (truncated ? 0x0200 : 0) | RCODE[rcode],
    questions: [question],
    answers: script?.rcode ? [] : answers,
  }
  const bytes = script?.flaw === undefined ? encode(reply) : encodeFlawed(reply, script.flaw)
  if (transport === 'tcp' || bytes.length <= 4096) return bytes
  return encode({ ...reply, flags: (reply.flags ?? 0) | 0x0200, answers: [] })
}

export function scriptFor(scripts: DnsScripts, name: string, turn: number): DnsScript | undefined {
  const script = writtenFor(scripts, name)
  return script?.turns ? script.turns[turn % script.turns.length] : script
}

function writtenFor(scripts: DnsScripts, name: string): DnsScript | undefined {
  const key = name.toLowerCase().replace(/\.$/, '')
  const exact = scripts.get(key)
  if (exact) return exact
  for (let dot = key.indexOf('.'); dot >= 0; dot = key.indexOf('.', dot + 1)) {
    const wildcard = scripts.get(`*${key.slice(dot)}`)
    if (wildcard) return wildcard
  }
  return undefined
}

/** More aliases than anybody follows. */
const LONGEST_CHAIN = 40

function records(name: string, type: string, scripts: DnsScripts, turn: number, depth = 0): Answer[] {
  const script = scriptFor(scripts, name, turn)
  if (!script || depth > LONGEST_CHAIN) return []
  const ttl = script.ttl ?? 60
  if (script.cname !== undefined) {
    return [
      { type: 'CNAME', name, ttl, data: script.cname },
      ...records(script.cname, type, scripts, turn, depth + 1),
    ]
  }
  switch (type) {
    case 'A':
      return [...(script.a ?? []), ...freshOnes(script.freshAddresses ?? 0, turn)].map((data) => ({
        type: 'A',
        name,
        ttl,
        data,
      }))
    case 'AAAA':
      return (script.aaaa ?? []).map((data) => ({ type: 'AAAA', name, ttl, data }))
    case 'TXT':
      return (script.txt ?? []).map((data) => ({ type: 'TXT', name, ttl, data }))
    default:
      return []
  }
}

/** The next ones of 198.19.0.0/16; after 65,536 they come again. */
function freshOnes(count: number, turn: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const number = (turn * count + index) & 0xffff
    return `198.19.${number >> 8}.${number & 255}`
  })
}

const RCODE = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const
