import type { Family, PortList } from '../net/types.ts'
import type { RuleMatch, PortsFromTo } from './model.ts'

/** iptables' multiport takes 15 slots; a range fills two. */
const SLOTS = 15

/** A port list as the rules it needs: one for every 15 slots of TCP and of UDP, one for each other protocol. */
export function matchesOfPorts(ports: PortList, family: Family): { key: string; matches: RuleMatch[] }[] {
  const rules: { key: string; matches: RuleMatch[] }[] = []
  for (const protocol of ['tcp', 'udp'] as const) {
    const ranges = ports.specs.flatMap((spec) =>
      spec.protocol === protocol && 'from' in spec ? [{ from: spec.from, to: spec.to }] : [],
    )
    if (ranges.some((range) => range.from <= 1 && range.to === 65_535)) {
      rules.push({ key: protocol, matches: [{ kind: 'protocol', protocol }] })
      continue
    }
    chunk(ranges).forEach((part, index) => {
      rules.push({
        key: index === 0 ? protocol : `${protocol}${index + 1}`,
        matches: [{ kind: 'ports', protocol, ranges: part }],
      })
    })
  }
  for (const { protocol } of ports.specs) {
    if (protocol === 'tcp' || protocol === 'udp') continue
    rules.push({
      key: family === 6 && protocol === 'icmp' ? 'icmpv6' : protocol,
      matches: [{ kind: 'protocol', protocol }],
    })
  }
  return rules
}

function chunk(ranges: readonly PortsFromTo[]): PortsFromTo[][] {
  const chunks: PortsFromTo[][] = []
  let room = 0
  for (const range of ranges) {
    const slots = range.from === range.to ? 1 : 2
    if (slots > room || chunks.length === 0) {
      chunks.push([])
      room = SLOTS
    }
    chunks.at(-1)?.push(range)
    room -= slots
  }
  return chunks
}
