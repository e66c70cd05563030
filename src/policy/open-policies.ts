import { prefixOf } from '../net/cidr.ts'
import { shareHeld } from '../net/coverage.ts'
import { FAMILIES, familyOf, type Cidr, type Family } from '../net/types.ts'
import type { Policy } from './model.ts'

/** A policy whose networks together hold nearly every address there is. */
export interface OpenPolicy {
  readonly policy: string
  /** The widest of the networks that open it: few, even where a list names thousands. */
  readonly networks: readonly Cidr[]
  /** How many more there are. */
  readonly others: number
}

/** Nothing outside of these is routed on the internet. */
const WHOLE: Readonly<Record<Family, Cidr>> = { 4: '0.0.0.0/0' as Cidr, 6: '2000::/3' as Cidr }
/** A list of all public IPv4 networks holds 0.86 of the addresses, since the others are private or reserved. */
const NEARLY_ALL = 0.75
const NAMED = 3

/** `to: internet` does not count: it is a choice of its own, which leaves out what is private. */
export const openPolicies = (policies: readonly Policy[]): OpenPolicy[] =>
  policies.flatMap(({ id, groups }) => {
    const all = [...new Set(groups.flatMap(({ cidrs }) => [...cidrs.keys()]))]
    const openings = FAMILIES.map((family) => opening(family, all)).filter(({ length }) => length > 0)
    if (openings.length === 0) return []
    const networks = openings.flatMap((one) => one.slice(0, NAMED))
    return [{ policy: id, networks, others: openings.flat().length - networks.length }]
  })

/** The networks that open a family, the widest first; none where it is not open. One that holds all of it needs no other. */
function opening(family: Family, all: readonly Cidr[]): readonly Cidr[] {
  if (shareHeld(WHOLE[family], all) < NEARLY_ALL) return []
  const widestFirst = all
    .filter((cidr) => familyOf(cidr) === family)
    .toSorted((one, other) => prefixOf(one) - prefixOf(other))
  const [widest] = widestFirst
  return widest !== undefined && shareHeld(WHOLE[family], [widest]) >= NEARLY_ALL ? [widest] : widestFirst
}
