import { coversPort } from '../net/ports.ts'
import type { PortList } from '../net/types.ts'
import type { Grant } from '../policy/name-table.ts'
import { dotted } from '../dns/name.ts'
import type { ResourceRecord } from '../dns/records.ts'
import { TYPE } from '../dns/codes.ts'

/** A host that a service record names, and the grants under which it may be asked for. */
export interface Target {
  readonly name: string
  readonly grants: readonly Grant[]
  readonly ttlSeconds: number
}

/** More targets than this of one answer are not learned: the owner of a name chooses them, and a container could send data out by its choice among them. */
const MOST_TARGETS = 32
const MAIL_PORTS = [25, 465, 587]

/**
 * The targets of SRV, MX, SVCB and HTTPS records in an answer. A target counts only for entries whose ports include a port of that service: a name that is listed for
 * the web opens no mail server.
 * @param asked the name in the question, whose `_tcp` or `_udp` label tells the protocol of SRV
 */
export function targetsOf(
  asked: string,
  type: number,
  answers: readonly ResourceRecord[],
  grants: readonly Grant[],
): Target[] {
  if (!NAMING_HOSTS.has(type)) return []
  const targets: Target[] = []
  for (const record of answers) {
    if (record.type !== type || record.target === undefined) continue
    const name = dotted(record.target)
    if (name === undefined) continue
    const isServed = servedBy(asked, record)
    const served = grants.filter(({ ports }) => ports.some(isServed))
    if (served.length > 0) targets.push({ name, grants: served, ttlSeconds: record.ttlSeconds })
    if (targets.length === MOST_TARGETS) break
  }
  return targets
}

const NAMING_HOSTS: ReadonlySet<number> = new Set([TYPE.SRV, TYPE.MX, TYPE.SVCB, TYPE.HTTPS])

/** Whether ports of an entry include a port of this record's service. */
function servedBy(asked: string, { type, data }: ResourceRecord): (ports: PortList) => boolean {
  if (type === TYPE.MX) return (ports) => MAIL_PORTS.some((port) => coversPort(ports, 'tcp', port))
  const port = type === TYPE.SRV ? data.readUInt16BE(4) : portOfService(data)
  // Without a port the service is on those that the client knows already.
  if (port === undefined) return () => true
  const protocols = protocolsOf(asked)
  return (ports) => protocols.some((protocol) => coversPort(ports, protocol, port))
}

const TRANSPORTS = ['tcp', 'udp'] as const

/** UDP for `_sip._udp.example.com`; both for a name that does not say it. */
function protocolsOf(asked: string): readonly string[] {
  const named = TRANSPORTS.filter((protocol) => asked.split('.').includes(`_${protocol}`))
  return named.length > 0 ? named : TRANSPORTS
}

const PORT_KEY = 3

/** The `port` parameter of SVCB and HTTPS (RFC 9460), in data that was read as such before. */
function portOfService(data: Buffer): number | undefined {
  let at = 2
  while ((data[at] ?? 0) > 0) at += 1 + (data[at] ?? 0)
  for (at++; at + 4 <= data.length; at += 4 + data.readUInt16BE(at + 2))
    if (data.readUInt16BE(at) === PORT_KEY && at + 6 <= data.length) return data.readUInt16BE(at + 4)
  return undefined
}
