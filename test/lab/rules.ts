import type { Family } from '../../src/net/types.ts'
import type { Lab } from './lab.ts'

/** Puts rules of an operator's own on top of a filter chain, in the given order: `-d 203.0.113.66 -j DROP`. */
export async function insertRules(
  lab: Lab,
  family: Family,
  chain: string,
  rules: readonly string[],
): Promise<void> {
  const commands = rules.map((rule, index) => `-I ${chain} ${index + 1} ${rule}`)
  await lab.host([family === 4 ? 'iptables-restore' : 'ip6tables-restore', '--noflush'], {
    input: ['*filter', ...commands, 'COMMIT', ''].join('\n'),
  })
}

/** A chain's rules as `iptables -S` prints them, without the line that declares the chain; [] where there is none. */
export async function rulesOf(lab: Lab, family: Family, chain: string): Promise<readonly string[]> {
  const tool = family === 4 ? 'iptables' : 'ip6tables'
  const { stdout } = await lab.host([tool, '-S', chain], { okExitCodes: [1] })
  return stdout.split('\n').filter((line) => line.startsWith('-A '))
}
