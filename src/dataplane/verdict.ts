import { CHAIN, denyChain, type DenyReason } from './names.ts'
import type { RuleMatch, Rule } from './model.ts'
import { rule } from './rule.ts'

export function approved(key: string, text: string, matches: readonly RuleMatch[], policy = 'host'): Rule {
  return rule({
    key,
    policy,
    matches,
    target: { kind: 'goto', chain: CHAIN.ok },
    action: 'allow',
    words: text,
  })
}

/** This packet may pass, which says nothing of the rest of its connection. */
export function passed(key: string, text: string, matches: readonly RuleMatch[]): Rule {
  return rule({
    key,
    matches,
    target: { kind: 'goto', chain: CHAIN.pass },
    action: 'allow',
    words: text,
  })
}

export function denied(
  reason: DenyReason,
  matches: readonly RuleMatch[],
  text: string,
  key: string = reason,
  policy = 'host',
  chain = denyChain(reason),
): Rule {
  return rule({
    key,
    policy,
    matches,
    target: { kind: 'goto', chain },
    action: 'drop',
    words: text,
  })
}
