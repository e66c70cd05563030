import * as z from 'zod'
import type { Dataplane } from '../dataplane/model.ts'
import { allowSet, deniedSet, DENY_REASONS, type DenyReason } from '../dataplane/names.ts'
import type { Membership } from '../dataplane/membership.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import type { SomeFamilies } from '../targets/iptables/driver.ts'
import { FAMILIES, type Hostname, type IpFamily } from '../net/types.ts'
import type { Policies } from '../policy/model.ts'
import { Totals, totalsSnapshot } from './totals.ts'

export const countersSnapshot = z.object({
  rules: totalsSnapshot,
  elements: totalsSnapshot,
  denied: totalsSnapshot,
  deniedBy: totalsSnapshot.default({}),
  domains: z.record(z.string(), z.number().nonnegative()),
  repairs: z.record(z.string(), z.number().nonnegative()).default({}),
  lastRepairMs: z.number().optional(),
})
export type CountersSnapshot = z.output<typeof countersSnapshot>

export interface RuleCount {
  readonly family: IpFamily
  readonly policy: string
  readonly rule: string
  readonly action: string
  readonly packets: number
  readonly bytes: number
}

/** What rules and sets have counted, and how often drift was repaired, since the first start ever. */
export class Counters {
  readonly #rules = new Totals()
  readonly #elements = new Totals()
  /** Denied packets by element; elements come and go. */
  readonly #denied = new Totals()
  /** Denied packets by reason, bridge and policy. */
  readonly #deniedBy = new Totals()
  readonly #domains = new Map<string, number>()
  readonly #repairs = new Map<string, number>()
  #lastRepairMs: number | undefined

  /** Something that others had changed was repaired. */
  countRepair(kind: string, nowMs: number): void {
    this.#repairs.set(kind, (this.#repairs.get(kind) ?? 0) + 1)
    this.#lastRepairMs = nowMs
  }

  /** How often each kind of drift was repaired, and when the last time was. */
  get drift(): {
    readonly repairs: Readonly<Record<string, number>>
    readonly lastRepairMs: number | undefined
  } {
    return { repairs: Object.fromEntries(this.#repairs), lastRepairMs: this.#lastRepairMs }
  }

  readRules(dataplane: Dataplane, saved: SomeFamilies): void {
    for (const family of FAMILIES) {
      for (const { table, name, rules } of dataplane.rules[family].chains) {
        const present = new Map(
          saved[family]?.tables
            .get(table)
            ?.chains.get(name)
            ?.rules.map((rule) => [rule.key, rule]),
        )
        for (const { key } of rules) {
          const rule = present.get(key)
          if (rule) this.#rules.read(ruleKey(family, name, key), rule)
        }
      }
    }
    this.#rules.tidy(() => keysOfRules(dataplane))
  }

  /** One row for each rule in force. */
  ruleCounts(dataplane: Dataplane): RuleCount[] {
    return FAMILIES.flatMap((family) =>
      dataplane.rules[family].chains.flatMap(({ name, rules }) =>
        rules.map(({ key, policy, action }) => ({
          family: ipFamily(family),
          policy,
          rule: `${name.toLowerCase()}/${key}`,
          action,
          ...this.#rules.of(ruleKey(family, name, key)),
        })),
      ),
    )
  }

  /** @param unknown the policy of sources that are not known containers */
  readSets(
    known: ReadonlyMap<string, KnownSet>,
    read: readonly string[],
    { policies, membership }: { readonly policies: Policies; readonly membership: Membership },
    unknown: string,
  ): void {
    const wanted = new Set(read)
    for (const family of FAMILIES) {
      for (const reason of DENY_REASONS) {
        const set = deniedSet(reason, family)
        if (!wanted.has(set)) continue
        for (const [element, counts] of known.get(set)?.elements ?? []) {
          const gained = this.#denied.read(deniedKey(reason, family, element), counts)
          const policy = reason !== 'policy' ? 'host' : isOfContainer(element) ? counts.comment : unknown
          this.#deniedBy.add(`${reason} ${bridgeOf(element)} ${policy}`, gained)
        }
      }
      for (const policy of policies.policies) {
        for (const group of policy.groups) {
          const set = allowSet(policy.id, group.ports, family)
          if (!wanted.has(set)) continue
          for (const [element, counts] of known.get(set)?.elements ?? []) {
            if (counts.packets === 0) continue
            const { packets } = this.#elements.read(elementKey(set, element), counts)
            if (packets === 0) continue
            for (const owner of membership.ownersOf(set, element)) {
              const key = `${policy.id} ${family} ${owner}`
              this.#domains.set(key, (this.#domains.get(key) ?? 0) + packets)
            }
          }
        }
      }
    }
    const live = FAMILIES.flatMap((family) =>
      DENY_REASONS.flatMap((reason) =>
        [...(known.get(deniedSet(reason, family))?.elements.keys() ?? [])].map((element) => ({
          key: deniedKey(reason, family, element),
          bridge: bridgeOf(element),
        })),
      ),
    )
    this.#denied.tidy(() => live.map(({ key }) => key))
    const bridges = new Set(live.map(({ bridge }) => bridge))
    this.#deniedBy.tidy(() =>
      Array.from(this.#deniedBy.entries(), ([key]) => key).filter((key) =>
        bridges.has(key.split(' ')[1] ?? ''),
      ),
    )
    this.#elements.tidy(() =>
      [...known].flatMap(([set, { elements }]) => [...elements.keys()].map((one) => elementKey(set, one))),
    )
  }

  /** `networkOf` names the network that a bridge belongs to, undefined when it is gone. */
  deniedCounts(
    networkOf: (bridge: string) => string | undefined,
  ): { policy: string; network: string; reason: string; packets: number }[] {
    return [...this.#deniedBy.entries()].flatMap(([key, { packets }]) => {
      const [reason = '', bridge = '', policy = ''] = key.split(' ')
      const network = networkOf(bridge)
      return network === undefined ? [] : [{ policy, network, reason, packets }]
    })
  }

  /** Connections by name, for names that are configured. */
  domainCounts(
    policies: Policies,
  ): { policy: string; domain: string; family: IpFamily; connections: number }[] {
    return [...this.#domains].flatMap(([key, connections]) => {
      const [policy = '', family = '', domain = ''] = key.split(' ')
      return policies.names.has(domain as Hostname) || policies.patterns.has(domain as Hostname)
        ? [{ policy, domain, family: ipFamily(Number(family)), connections }]
        : []
    })
  }

  snapshot(): CountersSnapshot {
    return {
      rules: this.#rules.snapshot(),
      elements: this.#elements.snapshot(),
      denied: this.#denied.snapshot(),
      deniedBy: this.#deniedBy.snapshot(),
      domains: Object.fromEntries(this.#domains),
      ...this.drift,
    }
  }

  restore(snapshot: CountersSnapshot): void {
    this.#rules.restore(snapshot.rules)
    this.#elements.restore(snapshot.elements)
    this.#denied.restore(snapshot.denied)
    this.#deniedBy.restore(snapshot.deniedBy)
    for (const [key, connections] of Object.entries(snapshot.domains)) this.#domains.set(key, connections)
    for (const [kind, count] of Object.entries(snapshot.repairs)) this.#repairs.set(kind, count)
    this.#lastRepairMs = snapshot.lastRepairMs
  }
}

const ruleKey = (family: number, chain: string, key: string): string => `${family} ${chain} ${key}`
const deniedKey = (reason: DenyReason, family: number, element: string): string =>
  `${reason} ${family} ${element}`
const elementKey = (set: string, element: string): string => `${set} ${element}`
const keysOfRules = (dataplane: Dataplane): string[] =>
  FAMILIES.flatMap((family) =>
    dataplane.rules[family].chains.flatMap(({ name, rules }) =>
      rules.map(({ key }) => ruleKey(family, name, key)),
    ),
  )
const ipFamily = (family: number): IpFamily => (family === 6 ? 'ipv6' : 'ipv4')
const bridgeOf = (element: string): string => element.slice(element.lastIndexOf(',') + 1)
/** All others are networks. */
const isOfContainer = (element: string): boolean => !element.includes('/')
