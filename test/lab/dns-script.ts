import { encode, type Answer, type DecodedPacket, type Packet } from 'dns-packet'

/** What the lab's DNS server says to questions for one name. The first thing given of `silent`, `raw`, `rcode` wins. */
export interface DnsScript {
  readonly a?: readonly string[]
  readonly aaaa?: readonly string[]
  /** The target's own script is followed, so chains and loops can be made. */
  readonly cname?: string
  readonly txt?: readonly string[]
  /** Seconds, default 60. */
  readonly ttl?: number
  readonly rcode?: 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED'
  readonly silent?: boolean
  /** Over UDP an empty answer with the TC flag; all of it over TCP. */
  readonly truncate?: boolean
  readonly delayMs?: number
  /** This message, in hex; its first two bytes are replaced by the question's id. */
  readonly raw?: string
}

/** Names in lower case without a final dot; `*.parent` answers for every name below `parent` without an own script. */
export type DnsScripts = ReadonlyMap<string, DnsScript>

/** The answer to one question; undefined: none is sent. A name without a script is NXDOMAIN. */
export function answerTo(
  query: DecodedPacket,
  scripts: DnsScripts,
  transport: 'udp' | 'tcp',
): Buffer | undefined {
  const question = query.questions?.[0]
  if (!question) return undefined
  const script = scriptFor(scripts, question.name)
  if (script?.silent) return undefined
  if (script?.raw !== undefined) {
    const bytes = Buffer.from(script.raw, 'hex')
    if (bytes.length >= 2) bytes.writeUInt16BE(query.id ?? 0, 0)
    return bytes
  }
  const truncated = transport === 'udp' && script?.truncate === true
  const answers = script && !truncated ? records(question.name, question.type, scripts) : []
  const rcode = script ? (script.rcode ?? 'NOERROR') : 'NXDOMAIN'
  const reply: Packet = {
    type: 'response',
    id: query.id ?? 0,
    // Recursion desired (as asked), recursion available, truncated, and the response code.
    flags: 0x0080 | ((query.flags ?? 0) & 0x0100) | (truncated ? 0x0200 : 0) | RCODE[rcode],
    questions: [question],
    answers: script?.rcode ? [] : answers,
  }
  const bytes = encode(reply)
  if (transport === 'tcp' || bytes.length <= 4096) return bytes
  return encode({ ...reply, flags: (reply.flags ?? 0) | 0x0200, answers: [] })
}

export function scriptFor(scripts: DnsScripts, name: string): DnsScript | undefined {
  const key = name.toLowerCase().replace(/\.$/, '')
  const exact = scripts.get(key)
  if (exact) return exact
  for (let dot = key.indexOf('.'); dot >= 0; dot = key.indexOf('.', dot + 1)) {
    const wildcard = scripts.get(`*${key.slice(dot)}`)
    if (wildcard) return wildcard
  }
  return undefined
}

function records(name: string, type: string, scripts: DnsScripts, depth = 0): Answer[] {
  const script = scriptFor(scripts, name)
  if (!script || depth > 10) return []
  const ttl = script.ttl ?? 60
  if (script.cname !== undefined) {
    return [
      { type: 'CNAME', name, ttl, data: script.cname },
      ...records(script.cname, type, scripts, depth + 1),
    ]
  }
  switch (type) {
    case 'A':
      return (script.a ?? []).map((data) => ({ type: 'A', name, ttl, data }))
    case 'AAAA':
      return (script.aaaa ?? []).map((data) => ({ type: 'AAAA', name, ttl, data }))
    case 'TXT':
      return (script.txt ?? []).map((data) => ({ type: 'TXT', name, ttl, data }))
    default:
      return []
  }
}

const RCODE = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const
