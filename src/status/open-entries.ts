import type { AllowEntry, Config } from '../config/model.ts'
import type { Cidr } from '../net/types.ts'
import { COMMON } from '../policy/compile.ts'
import type { Policies } from '../policy/model.ts'
import { openPolicies } from '../policy/open-policies.ts'

interface OpenEntries {
  readonly policy: string
  readonly entries: readonly string[]
}

/** Kept for as long as the policies are in force, since a list may name 100,000 networks. */
const known = new WeakMap<Policies, readonly OpenEntries[]>()

/** The policies that are open to nearly every address, each with its widest entries and the places where they stand. */
export function openEntries(config: Config, policies: Policies): readonly OpenEntries[] {
  const found =
    known.get(policies) ??
    openPolicies(policies.policies).map(({ policy, networks, others }): OpenEntries => {
      const allow = policy === COMMON ? config.allow : config.policies.find(({ id }) => id === policy)?.allow
      const entries = networks.map((cidr) => `${cidr} (${placeOf(cidr, allow ?? [])})`)
      return { policy, entries: others > 0 ? [...entries, `${others} more`] : entries }
    })
  known.set(policies, found)
  return found
}

const placeOf = (cidr: Cidr, allow: readonly AllowEntry[]): string =>
  allow.find(({ target }) => target.kind === 'cidr' && target.cidr === cidr)?.where ?? 'allowed for a while'
