import type { Address, Cidr, Family } from '../../net/types.ts'
import type { Rate } from '../../config/model.ts'
import type { RuleMatch, Rule } from '../model.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { approved, denied } from '../verdict.ts'
import { budget, container, noContainer } from './budget.ts'

export function dnsRules(resolvers: readonly Address[]): Rule[] {
  return dnsMatches(resolvers).map(({ key, matches, text }) =>
    rule({ key, matches, target: { kind: 'goto', chain: CHAIN.dns }, action: 'continue', words: text }),
  )
}

/** As many seconds' (or minutes' …) worth may come at once. */
const BURST = 5
const MOST = 10_000

/**
 * Every new question takes one of the 64,000 ports from which the host can ask its name server, for half a minute: a container that
 * floods would leave none to the others, and none to the host.
 */
export function dnsBudgetRules(rate: Rate, family: Family): Rule[] {
  const words = `DNS, up to ${rate.count}/${rate.per}`
  return [
    approved('dns.container', `${words}, each container`, [
      container(family),
      dnsBudget('container', rate, true),
    ]),
    approved('dns.others', `${words}, all that are no container together`, [
      noContainer(family),
      dnsBudget('others', rate, false),
    ]),
    denied('policy', [], 'more DNS than that', 'dns.over'),
  ]
}

export const dnsBudget = (key: string, rate: Rate, bySource: boolean): RuleMatch =>
  budget({
    name: `embargod-dns-${key}-${rate.count}-${rate.per}`,
    side: 'upto',
    burst: Math.min(rate.count * BURST, MOST),
    bySource,
    rate,
  })

export function dnsMatches(
  resolvers: readonly Address[],
): { key: string; matches: RuleMatch[]; text: string }[] {
  return resolvers.flatMap((address) =>
    (['udp', 'tcp'] as const).map((protocol) => ({
      key: `dns.${address}.${protocol}`,
      matches: [
        { kind: 'destination', cidr: address as string as Cidr },
        { kind: 'ports', protocol, ranges: [{ from: 53, to: 53 }] },
      ] satisfies RuleMatch[],
      text: `DNS to ${address} over ${protocol}`,
    })),
  )
}
