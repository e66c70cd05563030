import { CHAIN_PREFIX } from '../../dataplane/names.ts'
import type { Hook, Rule } from '../../dataplane/model.ts'
import type { SavedRule, SavedTable } from './parse.ts'

export const isOurs = (chain: string): boolean =>
  chain === CHAIN_PREFIX || chain.startsWith(`${CHAIN_PREFIX}-`)

/** A jump as it has to stand in a chain that is not ours. */
export interface HookPlace {
  readonly parent: string
  readonly rule: Rule
  /** Our jump stands right with at most so many rules above it. */
  readonly atMost: number
}

/**
 * Where a hook needs its jump: in the first parent that is reached. Where the built-in chain accepts packets before it comes to that parent, such as
 * `ESTABLISHED -j ACCEPT` or a VPN's `-o tun0 -j ACCEPT`, our rules would not see them, and the backstop would drop them: there the built-in chain
 * gets a jump as well. The one in the parent stays, since the engine puts rules of its own above everything else.
 */
export function hookPlaces(hook: Hook, saved: SavedTable): HookPlace[] {
  const parent = parentOf(hook, saved)
  const ahead = acceptsAhead(hook, saved)
  const root = hook.parents.at(-1)
  if (!ahead || !hook.second || root === undefined) return [{ parent, rule: hook.rule, atMost: 0 }]
  return [
    { parent: root, rule: hook.rule, atMost: ahead.index },
    { parent, rule: hook.second, atMost: 0 },
  ]
}

/** The first parent that exists and is reached from the last, which is built in. */
export function parentOf(hook: Hook, saved: SavedTable): string {
  const root = hook.parents.at(-1) ?? ''
  const reached = new Set(saved.chains.get(root)?.rules.map((rule) => rule.target))
  return (
    hook.parents.find((parent) => saved.chains.has(parent) && (parent === root || reached.has(parent))) ??
    root
  )
}

/**
 * The rule of the built-in chain that lets packets go before they reach the hook's parent, and its place among all rules.
 * @param whose `others`: not the engine's, which stand there only for the moment in which it moves its jump
 */
export function acceptsAhead(
  hook: Hook,
  saved: SavedTable,
  whose: Whose = 'others',
): { readonly rule: SavedRule; readonly index: number } | undefined {
  const parent = parentOf(hook, saved)
  const root = hook.parents.at(-1) ?? ''
  if (parent === root) return undefined
  const rules = saved.chains.get(root)?.rules ?? []
  const index = rules.findIndex((rule) => rule.target === parent || mayAccept(rule, saved, whose, new Set()))
  const rule = rules[index]
  return rule && rule.target !== parent ? { rule, index } : undefined
}

/** The rule that accepts packets ahead of our first jump, whoever wrote it; undefined: there is none. */
export function unseenBy(hook: Hook, saved: SavedTable): SavedRule | undefined {
  const ahead = acceptsAhead(hook, saved, 'anybody')
  const rules = saved.chains.get(hook.parents.at(-1) ?? '')?.rules ?? []
  const jump = rules.findIndex(({ target }) => target !== undefined && isOurs(target))
  return ahead && (jump === -1 || jump > ahead.index) ? ahead.rule : undefined
}

/** A queue hands packets to a program that may let them go past all rules that follow. */
const ACCEPTING = new Set(['ACCEPT', 'NFQUEUE', 'QUEUE'])

/** What the engine has for each of its bridges: it is above DOCKER-USER only for the moment in which the engine moves its jump. */
const OF_ENGINE = /^(?:-o (\S+) -m conntrack --ctstate RELATED,ESTABLISHED|-i (\S+) (?:! )?-o \2) -j ACCEPT$/
const BRIDGE_OF_ENGINE = /^(docker0|docker_gwbridge|br-[0-9a-f]{12})$/

type Whose = 'others' | 'anybody'

function mayAccept({ text, target }: SavedRule, saved: SavedTable, whose: Whose, seen: Set<string>): boolean {
  if (target === undefined || seen.has(target)) return false
  if (ACCEPTING.has(target)) {
    if (whose === 'anybody') return true
    const [, out, both] = OF_ENGINE.exec(text) ?? []
    return !BRIDGE_OF_ENGINE.test(out ?? both ?? '')
  }
  if (isOurs(target) || (whose === 'others' && target.startsWith('DOCKER'))) return false
  seen.add(target)
  return saved.chains.get(target)?.rules.some((rule) => mayAccept(rule, saved, whose, seen)) ?? false
}
