import { RATE_UNIT_MS } from '../../config/mail-budget.ts'
import type { Rate } from '../../config/model.ts'
import type { Family } from '../../net/types.ts'
import type { Hashlimit, RuleMatch } from '../model.ts'
import { containersSet } from '../names.ts'

/** What the kernel takes is 32 bits wide. */
const LONGEST_MS = 2 ** 32 - 1

/** `name` must hold every setting: the kernel keeps the old ones of a table that it already knows by name. */
export function budget(
  options: Pick<Hashlimit, 'name' | 'side' | 'burst' | 'bySource'> & { readonly rate: Rate },
): RuleMatch {
  const { rate, ...rest } = options
  // A budget that is forgotten before it is full again would be full too soon.
  const expireMs = Math.min(
    Math.ceil(Math.max(1, rest.burst / rate.count) * RATE_UNIT_MS[rate.per]),
    LONGEST_MS,
  )
  return { kind: 'hashlimit', limit: { ...rest, ...rate, expireMs } }
}

/**
 * Sources that the engine knows as containers have a budget each, and all others share one. A container can send from every unused address of its
 * subnet: a budget for each of those would be no limit at all, and would fill the kernel's table.
 */
export const container = (family: Family): RuleMatch => ({
  kind: 'set',
  set: containersSet(family),
  fields: 'src',
})
export const noContainer = (family: Family): RuleMatch => ({
  kind: 'set',
  set: containersSet(family),
  fields: 'src',
  negate: true,
})
