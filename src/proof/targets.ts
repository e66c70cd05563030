import { CHAIN } from '../dataplane/names.ts'
import type { RuleMatch } from '../dataplane/model.ts'
import type { TraceRule } from '../dataplane/trace.ts'
import { parseAddress, bytesOf, formatAddress } from '../net/address.ts'
import { cidrContains, prefixOf } from '../net/cidr.ts'
import { familyOf, type Address, type Cidr, type Family } from '../net/types.ts'
import type { ProbeTarget } from './model.ts'

/** Addresses that are reserved for documentation (RFC 5737, RFC 3849): no config has a reason to allow one of them. */
const NOBODYS: Readonly<Record<Family, Address>> = {
  4: '192.0.2.1' as Address,
  6: '2001:db8:ffff::1' as Address,
}
/** Denied even where everything else is allowed. */
const METADATA: Readonly<Record<Family, Address>> = {
  4: '169.254.169.254' as Address,
  6: 'fd00:ec2::254' as Address,
}
const PORTS = [9, 7, 1, 65_535, 4_444]

/** A packet to this target passes only where the rules let everything pass. */
export const nobodysTarget = (family: Family): ProbeTarget => ({
  destination: NOBODYS[family],
  protocol: 'tcp',
  port: 9,
})

export interface ProbeVerdict {
  readonly allowed: boolean
  /** On what else it depends, such as a budget. */
  readonly provisos: readonly string[]
}
export type Judge = (target: ProbeTarget) => Promise<ProbeVerdict> | ProbeVerdict

/** What the rules ought to deny; undefined: whatever was tried is allowed. */
export async function forbiddenTarget(family: Family, judge: Judge): Promise<ProbeTarget | undefined> {
  const tries: ProbeTarget[] = [
    ...PORTS.map((port): ProbeTarget => ({ destination: NOBODYS[family], protocol: 'tcp', port })),
    { destination: METADATA[family], protocol: 'tcp', port: 80 },
  ]
  for (const target of tries) if (!(await judge(target)).allowed) return target
  return undefined
}

/** Rules, and what is in the sets that they name. */
export interface RulesView {
  readonly chains: ReadonlyMap<string, readonly TraceRule[]>
  readonly elementsOf: (set: string) => Promise<Iterable<string>> | Iterable<string>
  /** False: the engine or the host itself receives packets to this address, so the verdict of the rules is not the last. */
  readonly leaves: (address: Address) => boolean
}

const MOST_CANDIDATES = 24

/** A target that the rules should allow: from the sets that they name, else a resolver. A target that no budget can deny is preferred. */
export async function allowedTarget(
  family: Family,
  view: RulesView,
  judge: Judge,
): Promise<ProbeTarget | undefined> {
  let second: ProbeTarget | undefined
  for (const target of await candidates(family, view)) {
    const { allowed, provisos } = await judge(target)
    if (allowed && provisos.length === 0) return target
    if (allowed) second ??= target
  }
  return second
}

async function candidates(family: Family, view: RulesView): Promise<ProbeTarget[]> {
  const found: ProbeTarget[] = []
  const counts = new Map<string, number>()
  for (const { matches, chain } of approvals(view)) {
    // Of each way to an approval some: where nobody may do anything but ask for names, that is what is left.
    if ((counts.get(chain) ?? 0) >= MOST_CANDIDATES) continue
    const ports = matches.map(portOf).find((one) => one !== undefined)
    if (!ports) continue
    const elements = chain === CHAIN.internet ? [NOBODYS[family]] : await goals(matches, view)
    for (const element of elements) {
      const destination = addressIn(element, family)
      if (destination === undefined || !view.leaves(destination)) continue
      found.push({ destination, ...ports })
      counts.set(chain, (counts.get(chain) ?? 0) + 1)
    }
  }
  return found
}

/** Rules that lead to an approval; those with a budget, which somebody may have used up, last. */
function approvals({ chains }: RulesView): { matches: readonly RuleMatch[]; chain: string }[] {
  const rules = [...chains.values()].flat()
  return [CHAIN.ok, CHAIN.internet, CHAIN.dns].flatMap((chain) =>
    rules.flatMap(({ matches, target }) =>
      target && 'chain' in target && target.chain === chain ? [{ matches, chain }] : [],
    ),
  )
}

const portOf = (match: RuleMatch): Pick<ProbeTarget, 'protocol' | 'port'> | undefined =>
  match.kind === 'ports' && match.ranges[0]
    ? { protocol: match.protocol, port: match.ranges[0].from }
    : match.kind === 'protocol' && (match.protocol === 'tcp' || match.protocol === 'udp')
      ? { protocol: match.protocol, port: 443 }
      : undefined

const EACH_SET = 4

/** The networks and addresses that a rule is about. */
async function goals(matches: readonly RuleMatch[], view: RulesView): Promise<string[]> {
  const found: string[] = []
  for (const match of matches) {
    if (match.kind === 'destination') found.push(match.cidr)
    if (match.kind !== 'set' || match.fields !== 'dst' || match.negate === true) continue
    for (const element of await view.elementsOf(match.set)) {
      if (found.length >= EACH_SET) break
      found.push(element)
    }
  }
  return found
}

/** Of a network something in it that is an address like any other. */
function addressIn(element: string, family: Family): Address | undefined {
  const cidr = element as Cidr
  if (familyOf(cidr) !== family) return undefined
  if (!element.includes('/')) return parseAddress(element)
  if (cidrContains(cidr, NOBODYS[family])) return NOBODYS[family]
  if (prefixOf(cidr) < 8) return undefined
  const bytes = bytesOf(element.split('/')[0] as Address)
  return formatAddress([...bytes.slice(0, -1), (bytes.at(-1) ?? 0) + 1])
}
