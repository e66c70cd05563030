import { familyOf, type Address, type Family } from '../net/types.ts'
import { parseAddress } from '../net/address.ts'
import type { HostDrivers } from '../host/drivers.ts'
import type { Judgement } from './judge.ts'
import { readChains } from './ruleset.ts'
import type { KernelView } from './judge.ts'

export interface Target {
  readonly destination: Address
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

/** Addresses that are set aside for documentation (RFC 5737, RFC 3849): nobody's, so nobody has a reason to allow one by itself. */
const NOBODYS: Readonly<Record<Family, Address>> = {
  4: '192.0.2.1' as Address,
  6: '2001:db8:ffff::1' as Address,
}

/** Where the rules let everything through, sending here shows it. */
export const NOBODYS_TARGET: Readonly<Record<Family, Target>> = {
  4: { destination: NOBODYS[4], protocol: 'tcp', port: 9 },
  6: { destination: NOBODYS[6], protocol: 'tcp', port: 9 },
}
const PORTS = [9, 7, 1, 65_535, 4_444]

/** What the rules ought to deny; undefined: whatever was tried is allowed. */
export async function forbiddenTarget(
  family: Family,
  judged: (target: Target) => Promise<Judgement>,
): Promise<Target | undefined> {
  for (const port of PORTS) {
    const target: Target = { destination: NOBODYS[family], protocol: 'tcp', port }
    if (!(await judged(target)).allowed) return target
  }
  return undefined
}

/** What the rules ought to allow: something out of the sets that they name, else a resolver. */
export async function allowedTarget(
  family: Family,
  kernel: KernelView,
  ipset: HostDrivers['ipset'],
  judged: (target: Target) => Promise<Judgement>,
): Promise<Target | undefined> {
  for (const candidate of await candidates(family, kernel, ipset)) {
    if ((await judged(candidate)).allowed) return candidate
  }
  return undefined
}

const MOST_CANDIDATES = 12

async function candidates(
  family: Family,
  kernel: KernelView,
  ipset: HostDrivers['ipset'],
): Promise<Target[]> {
  const chains = readChains(kernel.rules[family])
  const found: Target[] = []
  for (const rule of [...chains.values()].flat()) {
    if (rule.target?.kind !== 'goto' || rule.target.chain !== 'EMBARGOD-OK') continue
    const ports = rule.matches.find((match) => match.kind === 'ports')
    const port = ports?.ranges[0]?.from
    if (!ports || port === undefined) continue
    for (const match of rule.matches) {
      if (match.kind === 'destination') found.push(...targetAt(match.cidr, ports.protocol, port))
      if (match.kind !== 'set' || match.fields !== 'dst') continue
      const elements = (await ipset.elements([match.set])).get(match.set) ?? []
      for (const { element } of elements.slice(0, 3)) found.push(...targetAt(element, ports.protocol, port))
    }
    if (found.length >= MOST_CANDIDATES) break
  }
  return found.filter(({ destination }) => familyOf(destination) === family)
}

function targetAt(element: string, protocol: 'tcp' | 'udp', port: number): Target[] {
  const destination = parseAddress(element.split('/')[0] ?? '')
  return destination === undefined ? [] : [{ destination, protocol, port }]
}
