import type { PortList, PortSpec, Protocol } from './types.ts'

type Transport = 'tcp' | 'udp'
type PortRange = Extract<PortSpec, { readonly from: number }>

const ORDER: readonly Protocol[] = ['tcp', 'udp', 'icmp', 'gre', 'esp', 'ah', 'sctp']
const WITHOUT_PORTS: ReadonlySet<string> = new Set<Protocol>(['icmp', 'gre', 'esp', 'ah', 'sctp'])
const RANGE = /^([0-9]{1,10})(?:-([0-9]{1,10}))?(?:\/([a-z]+))?$/

/**
 * The one parser of ports: `443` (TCP), `443/tcp`, `53/udp`, `8000-8100/tcp`, `any` (every TCP and UDP port), `icmp`, `gre`, `esp`,
 * `ah`, `sctp`; alone, in a list, or with commas between. Ranges that touch or overlap become one.
 */
export function parsePorts(
  ports: string | number | readonly (string | number)[],
): { readonly ports: PortList } | { readonly reason: string } {
  const items = typeof ports === 'string' ? ports.split(',') : typeof ports === 'number' ? [ports] : ports
  if (items.length === 0) return { reason: 'the list of ports is empty: leave it out for 80/tcp and 443/tcp' }
  const specs: PortSpec[] = []
  for (const item of items) {
    const parsed = parsePort(String(item).trim().toLowerCase())
    if ('reason' in parsed) return parsed
    specs.push(...parsed.specs)
  }
  return { ports: portList(specs) }
}

/** Merges and sorts; the text of the result parses back to the same list. */
export function portList(specs: readonly PortSpec[]): PortList {
  const merged = ORDER.flatMap((protocol): PortSpec[] => {
    if (protocol === 'tcp' || protocol === 'udp') return mergeRanges(specs, protocol)
    return specs.some((spec) => spec.protocol === protocol) ? [{ protocol }] : []
  })
  return { text: merged.map(portText).join(','), specs: merged }
}

/** Is every TCP and UDP port in the list? */
export const isAnyPort = (ports: PortList): boolean =>
  (['tcp', 'udp'] as const).every((protocol) =>
    ports.specs.some(
      (spec) => isRange(spec) && spec.protocol === protocol && spec.from === 1 && spec.to === 65535,
    ),
  )

function parsePort(text: string): { readonly specs: PortSpec[] } | { readonly reason: string } {
  if (text === 'any') {
    return { specs: (['tcp', 'udp'] as const).map((protocol) => ({ protocol, from: 1, to: 65535 })) }
  }
  if (isPortless(text)) return { specs: [{ protocol: text }] }
  const match = RANGE.exec(text)
  if (match === null) {
    return {
      reason: `"${text}" is no port: write 443/tcp, 53/udp, 8000-8100/tcp, any, icmp, gre, esp, ah or sctp`,
    }
  }
  const protocol = match[3] ?? 'tcp'
  const from = Number(match[1])
  const to = Number(match[2] ?? match[1])
  if (isPortless(protocol))
    return { reason: `"${text}": ${protocol} is allowed as a whole, without ports: write ${protocol}` }
  if (!isTransport(protocol))
    return { reason: `"${text}": "${protocol}" is no protocol with ports: they are tcp and udp` }
  if (from < 1 || to < 1 || from > 65535 || to > 65535)
    return { reason: `"${text}": ports go from 1 to 65535` }
  if (from > to) return { reason: `"${text}" runs backwards: write ${to}-${from}/${protocol}` }
  return { specs: [{ protocol, from, to }] }
}

function mergeRanges(specs: readonly PortSpec[], protocol: Transport): PortRange[] {
  const ranges = specs.filter(isRange).filter((spec) => spec.protocol === protocol)
  const merged: PortRange[] = []
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last !== undefined && range.from <= last.to + 1) {
      merged[merged.length - 1] = { protocol, from: last.from, to: Math.max(last.to, range.to) }
    } else {
      merged.push({ protocol, from: range.from, to: range.to })
    }
  }
  return merged
}

function portText(spec: PortSpec): string {
  if (!isRange(spec)) return spec.protocol
  return `${spec.from}${spec.to === spec.from ? '' : `-${spec.to}`}/${spec.protocol}`
}

const isRange = (spec: PortSpec): spec is PortRange => spec.protocol === 'tcp' || spec.protocol === 'udp'
const isTransport = (text: string): text is Transport => text === 'tcp' || text === 'udp'
const isPortless = (text: string): text is Exclude<Protocol, Transport> => WITHOUT_PORTS.has(text)

/** Does the list hold this port? Of protocols without ports it is the protocol alone that counts. */
export const coversPort = (ports: PortList, protocol: string, port: number | undefined): boolean =>
  ports.specs.some((spec) =>
    'from' in spec
      ? spec.protocol === protocol && port !== undefined && port >= spec.from && port <= spec.to
      : spec.protocol === protocol || (spec.protocol === 'icmp' && protocol === 'icmpv6'),
  )
