import { admittedSet } from '../dataplane/names.ts'
import { FAMILIES } from '../net/types.ts'
import { renderAdd } from '../targets/ipset/render.ts'
import type { KnownSet } from '../targets/ipset/known.ts'

/** As long as listing connections may take, and some. */
const JUDGING_SECONDS = 20
/** For so long those who are admitted outlive the right that ends next, rounded up to seconds. */
const ENDED_MS = 2_000

/**
 * Lines that keep the set of the admitted from running empty while connections are listed. What is left of a right that has ended is less than
 * the listing takes, and connections of other rights would be cut. A right that is yet to end is not prolonged: it would last longer should
 * the process end.
 */
export const prolongAdmitted = (known: ReadonlyMap<string, KnownSet>, nowMs: number): string[] =>
  FAMILIES.map(admittedSet).flatMap((set) =>
    [...(known.get(set)?.elements ?? [])].flatMap(([element, { expiresAtMs, comment }]) =>
      expiresAtMs > nowMs && expiresAtMs <= nowMs + ENDED_MS
        ? [renderAdd(set, { element, timeoutSeconds: JUDGING_SECONDS, comment })]
        : [],
    ),
  )
