import type { RevokeInput } from '../dataplane/revoke.ts'
import type { ConntrackDriver } from '../targets/conntrack/driver.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import type { DriftKind } from '../targets/keeper.ts'
import type { Desired } from './desired.ts'
import type { Fight } from './fight.ts'
import type { Generation } from './generation.ts'
import type { Drivers } from './keepers.ts'
import type { Observed } from './reconciler.ts'

export interface PassResult {
  readonly outcome: 'unchanged' | 'changed' | 'partial'
  readonly summary: readonly string[]
  readonly observed: Observed
  /** What of the change nobody asked for, by kind. */
  readonly drift: readonly DriftKind[]
  /** Why the backstop could not be written. */
  readonly backstopError: Error | undefined
  /** Another program insists on the place of our jump; undefined also when the pass did not look. */
  readonly fight: Fight | undefined
  /** Why containers are not bound to their addresses. */
  readonly bindingsProblem: string | undefined
  /** Why containers on the host's network are not held to policy. */
  readonly hostNetworkProblem: string | undefined
}

export interface FirewallOptions {
  readonly desired: Desired
  readonly drivers: Drivers
  readonly conntrack: ConntrackDriver
  readonly generation: Generation
  readonly namesThatHad: RevokeInput['namesThatHad']
  /** Called before the kernel is written when the generation changes: it must not be used twice. */
  readonly keepGeneration: (generation: Generation) => Promise<void>
  /** Called once with what an earlier process left in the sets, before anything is compared. */
  readonly adopt: (known: ReadonlyMap<string, KnownSet>, nowMs: number) => void
  /** Containers may have rights in the kernel that they did not have before. */
  readonly onBound?: () => void
  /** The connections could not be read: those on expired addresses will be cut by a change of rights. */
  readonly onBlind: (error: unknown) => void
  /** Why the kernel still knows revoked connections between containers, whose replies pass; undefined: it knows none any more. */
  readonly onUnforgotten: (why: unknown) => void
  /** What the pass waits for from now on. */
  readonly onStep?: (step: string) => void
}
