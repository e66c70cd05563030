import type { Address, Cidr } from '../../net/types.ts'
import type { Match, Rule } from '../model.ts'
import { approved } from '../verdict.ts'

export function dnsRules(resolvers: readonly Address[]): Rule[] {
  return dnsMatches(resolvers).map(({ key, matches, text }) => approved(key, text, matches))
}

export function dnsMatches(resolvers: readonly Address[]): { key: string; matches: Match[]; text: string }[] {
  return resolvers.flatMap((address) =>
    (['udp', 'tcp'] as const).map((protocol) => ({
      key: `dns.${address}.${protocol}`,
      matches: [
        { kind: 'destination', cidr: address as string as Cidr },
        { kind: 'ports', protocol, ranges: [{ from: 53, to: 53 }] },
      ] satisfies Match[],
      text: `DNS to ${address} over ${protocol}`,
    })),
  )
}
