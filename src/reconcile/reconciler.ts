import type { SavedBackstop } from '../targets/backstop/parse.ts'
import type { SomeFamilies } from '../targets/iptables/driver.ts'
import type { DesiredState, DriftKind, Keeper, Part, Phase, Scope, TargetChange } from '../targets/keeper.ts'
import { ORDER, type Changes, type Keepers, type TargetName } from './keepers.ts'

/** What the kernel held when the pass looked, for counters and reports. What it did not look at is absent. */
export interface Observed {
  readonly rules: SomeFamilies
  /** Undefined, though the pass looked for it: there is none. */
  readonly backstop: SavedBackstop | undefined
  readonly parts: ReadonlySet<Part>
  /** Sets that were read whole in this pass. */
  readonly sets: readonly string[]
  /** Why rules of ours stay in the flavour of iptables that is not in use. Known only after a look at every part. */
  readonly leftoverProblem: string | undefined
}

/** Makes the kernel hold what is desired: every keeper looks, every keeper plans, and the changes are written in {@link ORDER}. */
export class Reconciler {
  readonly #keepers: Keepers

  constructor(keepers: Keepers) {
    this.#keepers = keepers
  }

  /** Reads the kernel as far as the scope says and computes what to write; writes nothing. */
  async plan(
    desired: DesiredState,
    scope: Scope,
    nowMs: number,
  ): Promise<{ readonly changes: Changes; readonly observed: Observed }> {
    const keepers: (readonly [string, Keeper])[] = Object.entries(this.#keepers)
    const looks = await Promise.allSettled(keepers.map(([, keeper]) => keeper.look(desired, scope, nowMs)))
    // All are waited for, or a slow look would still change what is known when the next pass has begun.
    for (const look of looks) if (look.status === 'rejected') throw look.reason
    const changes = Object.fromEntries(
      keepers.map(([target, keeper]) => [target, keeper.plan(desired, nowMs)]),
    )
    const { sets, rules, backstop } = this.#keepers
    const observed: Observed = {
      rules: rules.seen,
      backstop: backstop.seen,
      parts: scope.parts,
      sets: sets.seen,
      leftoverProblem: rules.leftoverProblem,
    }
    // Each keeper's own change stands under its own name.
    return { changes: changes as unknown as Changes, observed }
  }

  /** Writes the changes in order. The first write that rejects ends it, and the next pass believes nothing that was known. */
  async apply(changes: Changes): Promise<void> {
    try {
      for (const [target, phases] of stepsOf(changes)) await this.#write(target, changes[target], phases)
    } catch (error) {
      for (const keeper of Object.values<Keeper>(this.#keepers)) keeper.forget?.()
      throw error
    }
  }

  async #write(
    target: TargetName,
    change: TargetChange | undefined,
    phases: readonly Phase[],
  ): Promise<void> {
    const keeper: Keeper = this.#keepers[target]
    if (change) await keeper.apply(change, phases)
  }
}

/** The steps that have something to write. Where nothing lies between two steps of one keeper they are one. */
function stepsOf(changes: Changes): (readonly [TargetName, readonly Phase[]])[] {
  const steps: [TargetName, Phase[]][] = []
  for (const [target, phase] of ORDER) {
    if (changes[target] === undefined) continue
    const last = steps.at(-1)
    if (last?.[0] === target) last[1].push(phase)
    else steps.push([target, [phase]])
  }
  return steps
}

/** A line for each change. */
export const summaryOf = (changes: Changes): string[] =>
  Object.values<TargetChange | undefined>(changes).flatMap((change) => change?.summary ?? [])

/** What of the changes somebody else must have caused, if the same was desired before. */
export const driftOf = (changes: Changes): DriftKind[] => [
  ...new Set(Object.values<TargetChange | undefined>(changes).flatMap((change) => change?.drift ?? [])),
]
