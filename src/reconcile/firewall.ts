import { metadataOf, wrappedMetadata } from '../net/metadata.ts'
import { neverOf } from '../net/never.ts'
import { FAMILIES, type Address, type Cidr } from '../net/types.ts'
import { admittedSet, lingerSet, revokedSet } from '../dataplane/names.ts'
import { generationMark, marksOf } from '../config/marks.ts'
import type { Dataplane } from '../dataplane/model.ts'
import type { ConntrackDriver } from '../targets/conntrack/driver.ts'
import type { Flow } from '../dataplane/flow.ts'
import type { RevokeInput } from '../dataplane/revoke.ts'
import { renderAdd, renderDelete } from '../targets/ipset/render.ts'
import type { KnownSet } from '../targets/ipset/sync.ts'
import type { Desired } from './desired.ts'
import {
  BackstopError,
  type Change,
  type Drivers,
  type Observed,
  PARTS,
  Reconciler,
  type Scope,
} from './reconciler.ts'
import { Fights, type Fight } from './fight.ts'
import { rightsByAddress } from './rights-by-address.ts'
import { bearingsOf, misread, nextGeneration, type Bearing, type Generation } from './generation.ts'
import { areSameRights, rightsInputs, type RightsInputs } from './rights-inputs.ts'
import { allowedAgain, rejudge, revokedDestinations } from './rejudge.ts'

export interface PassResult {
  readonly outcome: 'unchanged' | 'changed' | 'partial'
  readonly summary: readonly string[]
  readonly observed: Observed
  /** What of the change nobody asked for, by kind. */
  readonly drift: readonly DriftKind[]
  /** Why the outcome is partial. */
  readonly backstopError: unknown
  /** Somebody else insists on the place of our jump; undefined also when nobody looked. */
  readonly fight: Fight | undefined
  /** Why containers are not held to their addresses. */
  readonly bindingsProblem: string | undefined
  /** Why nobody on the host's network is held there. */
  readonly hostNetworkProblem: string | undefined
}

export type DriftKind = 'rules' | 'jump' | 'set' | 'backstop' | 'bindings' | 'host-network'

export interface FirewallOptions {
  readonly desired: Desired
  readonly drivers: Drivers
  readonly conntrack: ConntrackDriver
  readonly generation: Generation
  readonly namesThatHad: RevokeInput['namesThatHad']
  /** Called before the kernel is written when the generation changes: it must not be used twice. */
  readonly keepGeneration: (generation: Generation) => Promise<void>
  /** Told once what an earlier process left in the sets, before anything is compared. */
  readonly adopt: (known: ReadonlyMap<string, KnownSet>, nowMs: number) => void
  /** Rights of containers stand in the kernel that did not before. */
  readonly onBound?: () => void
  /** The connections could not be read: those on expired addresses will be cut by a change of rights. */
  readonly onBlind: (error: unknown) => void
  /** Whether revoked connections between containers are still known to the kernel, since what the far one sends passes as a reply, and why; undefined: none is. */
  readonly onUnforgotten: (why: unknown) => void
  /** What the pass waits for from now on. */
  readonly onStep?: (step: string) => void
}

/** One pass from what is desired to what the kernel holds, with the change of generation that a change of rights needs. */
export class Firewall {
  readonly #options: FirewallOptions
  readonly reconciler: Reconciler
  #applied: Dataplane | undefined
  /** Whose chains stand with it. */
  #appliedRights: RightsInputs | undefined
  #generation: Generation
  /** It was begun, and its rules were perhaps written: its number is in use, and what bears it was judged by them. */
  #begun: Generation | undefined
  #adopted = false
  readonly #fights = new Fights()
  /** Where revoked flows lead; undefined: nobody asked since the last pass. */
  #revokedTo: ReadonlySet<string> | undefined
  /** Those of them that the fast path brought since. */
  readonly #comingBack = new Set<string>()
  /** Between containers; forgotten when the rules stand, by the next pass where the kernel refuses. */
  #revokedBetween: readonly Flow[] = []

  constructor(options: FirewallOptions) {
    this.#options = options
    this.reconciler = new Reconciler(options.drivers, options.onBound)
    this.#generation = options.generation
  }

  get generation(): Generation {
    return this.#generation
  }

  /** To be told what is brought beside the passes. True: flows to it are revoked, and the next pass sees whether they are allowed now. */
  brought(address: Address): boolean {
    this.#revokedTo ??= revokedDestinations(this.reconciler.known)
    if (!this.#revokedTo.has(address)) return false
    this.#comingBack.add(address)
    return true
  }

  /** Nothing is believed applied any more. */
  forget(): void {
    this.reconciler.forget()
    this.#options.desired.membership.touchAll()
  }

  /**
   * Looks, compares, writes. Rejects when the rules or sets are not as desired; a missing second guard alone is a partial outcome.
   */
  async pass(scope: Scope, nowMs: number): Promise<PassResult> {
    this.#at('the tools that read the kernel')
    if (!this.#adopted) {
      await this.reconciler.readSets(nowMs)
      this.#options.adopt(this.reconciler.known, nowMs)
      this.#adopted = true
    }
    let { next, dataplane, rights } = this.#aim()
    // Rights whose chains stand wait for no look at the rules, nor for those of a new network: a container is starting.
    const bound =
      this.#applied !== undefined && areSameRights(this.#appliedRights, rights)
        ? await this.reconciler.bindings.bring(this.#options.desired.bindings)
        : undefined
    if (bound !== undefined) this.#options.onBound?.()
    let drift: DriftKind[] = []
    let backstopError: unknown
    let fight: Fight | undefined
    let change: Change
    try {
      change = await this.#plan(dataplane, scope, nowMs)
      // The policy was changed while the kernel was read: members of the new one stand against sets of the old one.
      while (dataplane !== this.#options.desired.dataplane()) {
        this.#options.desired.membership.touchAll()
        ;({ next, dataplane, rights } = this.#aim())
        change = await this.#plan(dataplane, scope, nowMs)
      }
      change =
        next !== this.#generation
          ? this.#withBoth(await this.#withFlows(change, next, nowMs), dataplane)
          : this.#withReadmitted(change)
      const judged = this.#fights.judge(change, dataplane.rules, this.reconciler.backstopStands)
      change = judged.change
      fight = judged.fight
      if (dataplane === this.#applied) drift = driftOf(change)
      backstopError = await this.#apply(change)
    } catch (error) {
      // The plan took what was dirty and nobody wrote it.
      this.#options.desired.membership.touchAll()
      throw error
    } finally {
      this.reconciler.fastPath.done()
      this.#revokedTo = undefined
    }
    const isNew = next !== this.#generation
    // Once more: what the rules before have marked until now.
    if (isNew) await this.#forgetMisread(next)
    await this.#forgetRevoked()
    this.#applied = dataplane
    this.#appliedRights = rights
    this.#generation = next
    this.#begun = undefined
    if (isNew) {
      this.#at('the disk that holds the state')
      await this.#options.keepGeneration(next)
      this.#at('the tools that read the kernel')
      await this.reconciler.refresh(FLOW_SETS, nowMs)
    }
    const { observed } = change
    const summary = [...(bound === undefined ? [] : [bound]), ...change.summary]
    const outcome =
      backstopError || this.reconciler.bindings.problem || this.reconciler.hostNetwork.problem
        ? 'partial'
        : summary.length > 0
          ? 'changed'
          : 'unchanged'
    const bindingsProblem = this.reconciler.bindings.problem
    const hostNetworkProblem = this.reconciler.hostNetwork.problem
    return { outcome, summary, observed, drift, backstopError, fight, bindingsProblem, hostNetworkProblem }
  }

  #at(step: string): void {
    this.#options.onStep?.(step)
  }

  /** Returns why the second guard is missing, if it is. */
  async #apply(change: Change): Promise<unknown> {
    this.#at('the tools that write the kernel')
    try {
      await this.reconciler.apply(change)
      return undefined
    } catch (error) {
      if (error instanceof BackstopError) return error
      this.#applied = undefined
      throw error
    }
  }

  /** What is desired now, and the generation that it needs. */
  #aim(): { readonly next: Generation; readonly dataplane: Dataplane; readonly rights: RightsInputs } {
    const { desired } = this.#options
    const current = this.#begun ?? this.#generation
    const next = nextGeneration(current, desired.policies.digest, marksOf(desired.config))
    desired.setGeneration(next.generation)
    return { next, dataplane: desired.dataplane(), rights: rightsInputs(desired) }
  }

  #plan(dataplane: Dataplane, scope: Scope, nowMs: number): Promise<Change> {
    const wide = dataplane === this.#applied ? scope : { ...scope, parts: new Set(PARTS) }
    return this.reconciler.plan(dataplane, this.#options.desired, wide, nowMs)
  }

  async #withFlows(change: Change, next: Generation, nowMs: number): Promise<Change> {
    this.#at('the disk that holds the state')
    // Without its digest until it stands: a process that ends in between begins another one, and judges these flows again.
    await this.#options.keepGeneration({ ...next, digest: '', former: this.#bearings().at(0) })
    if (next !== this.#begun) await this.#prolongAdmitted(nowMs)
    this.#at('conntrack, which lists live connections')
    const flows = await this.#flows(next).catch((error: unknown) => {
      this.#options.onBlind(error)
      return []
    })
    this.#begun = next
    await this.reconciler.refresh(FLOW_SETS, nowMs)
    const { lines, between } = rejudge(flows, this.reconciler.known, this.#judgement(), nowMs)
    this.#revokedBetween = between
    return { ...change, sets: { ...change.sets, before: [...change.sets.before, ...lines] } }
  }

  /**
   * What is left of a right that has ended is less than the listing of connections takes, and those of other rights would be cut. Not where a pass
   * has failed: a right must not last as long as passes fail. Nor of one that is yet to end, which would last longer should the process end.
   */
  async #prolongAdmitted(nowMs: number): Promise<void> {
    const lines = FAMILIES.map(admittedSet).flatMap((set) =>
      [...(this.reconciler.known.get(set)?.elements ?? [])].flatMap(([element, { expiresAtMs, comment }]) =>
        expiresAtMs > nowMs && expiresAtMs <= nowMs + ENDED_MS
          ? [renderAdd(set, { element, timeoutSeconds: JUDGING_SECONDS, comment })]
          : [],
      ),
    )
    if (lines.length > 0) await this.#options.drivers.ipset.write(lines)
  }

  /** What live connections may bear, the oldest first. */
  #bearings(): Bearing[] {
    const layout = marksOf(this.#options.desired.config)
    return [this.#generation, ...(this.#begun ? [this.#begun] : [])].flatMap((one) => bearingsOf(one, layout))
  }

  /** When the rules stand: a packet of a container whose connection is forgotten is judged as its own. */
  async #forgetRevoked(): Promise<void> {
    if (this.#revokedBetween.length === 0) return
    try {
      await this.#options.conntrack.forget(this.#revokedBetween.slice(0, MOST_FORGOTTEN))
      this.#revokedBetween = this.#revokedBetween.slice(MOST_FORGOTTEN)
      const { length } = this.#revokedBetween
      this.#options.onUnforgotten(length === 0 ? undefined : new Error(`${length} are left to the next pass`))
    } catch (error) {
      this.#options.onUnforgotten(error)
    }
  }

  /** Flows of each generation pass the second guard until the rules have judged them again. */
  #withBoth(change: Change, { backstop }: Dataplane): Change {
    if (change.backstop === undefined) return change
    const former = this.#bearings().filter(({ generation }) => generation !== backstop.generation)
    return { ...change, meanwhile: { ...backstop, former } }
  }

  /** An answer may name the address of a flow that was revoked before anybody knew it. */
  #withReadmitted(change: Change): Change {
    const { sets } = change
    const back = new Set(this.#comingBack)
    if (sets.touched.size === 0 && back.size === 0) return change
    const { known } = this.reconciler
    const readmitted = allowedAgain(known, this.#judgement(), sets.touched.size === 0 ? back : undefined)
    const remember = (): void => {
      sets.remember()
      for (const address of back) this.#comingBack.delete(address)
      for (const { set, element } of readmitted) known.get(set)?.elements.delete(element)
    }
    const lines = readmitted.map(({ set, element }) => renderDelete(set, element))
    return { ...change, sets: { ...sets, after: [...sets.after, ...lines], remember } }
  }

  #judgement(): RevokeInput {
    const { config, policies, hostFacts, membership } = this.#options.desired
    const hostAddresses = this.#hostAddresses
    return {
      policies,
      membership,
      // Behind the gateway containers reach none of them themselves.
      resolvers: config.dns.gateway ? [] : hostFacts.resolvers,
      sources: [
        ...hostFacts.plan.guarded.flatMap((one) => one.subnets),
        ...[...hostAddresses].map((address) => address as string as Cidr),
      ],
      namesThatHad: this.#options.namesThatHad,
      rightsOf: rightsByAddress(config, hostFacts.rights, hostAddresses),
      metadata: [
        ...FAMILIES.flatMap((family) => metadataOf(config.metadata, family)),
        ...wrappedMetadata(config.metadata),
      ],
      never: FAMILIES.flatMap((family) => neverOf(config.never, family)),
    }
  }

  /** From which containers on the host's network send; none where they are not held. */
  get #hostAddresses(): ReadonlySet<Address> {
    return new Set(this.#options.desired.hostFacts.hostGroups?.addresses)
  }

  async #flows(next: Generation): Promise<Flow[]> {
    const marks = marksOf(this.#options.desired.config)
    // Connections that bear the new mark from 255 generations ago must not pass for admitted. After a pass that failed it is that of live ones.
    if (next !== this.#begun)
      await this.#options.conntrack.deleteMarked(generationMark(marks, next.generation), marks.generation)
    await this.#forgetMisread(next)
    const flows = (await Promise.all(FAMILIES.map((family) => this.#options.conntrack.flows(family)))).flat()
    const hostAddresses = this.#hostAddresses
    const { generation: mask } = this.#generation.marks ?? marks
    // Of the host's own flows those that were never admitted by us are not ours to judge.
    return flows.filter(({ source, mark }) => !hostAddresses.has(source) || (mark & mask) !== 0)
  }

  async #forgetMisread(next: Generation): Promise<void> {
    const is = { generation: next.generation, marks: marksOf(this.#options.desired.config) }
    for (const was of this.#bearings())
      for (const { mark, mask } of misread(was, is)) await this.#options.conntrack.deleteMarked(mark, mask)
  }
}

/** As long as listing connections may take, and some. */
const JUDGING_SECONDS = 20
/** The time for which those who are admitted outlive the right that ends next, rounded up to seconds. */
const ENDED_MS = 2_000
/** In one pass: each is a process of its own. */
const MOST_FORGOTTEN = 500

const FLOW_SETS = FAMILIES.flatMap((family) => [revokedSet(family), lingerSet(family)])

function driftOf(change: Change): DriftKind[] {
  const kinds = new Set<DriftKind>()
  for (const { summary } of change.rules) {
    for (const line of summary) kinds.add(line.includes('jump') ? 'jump' : 'rules')
  }
  if (change.backstop !== undefined || change.ownedTable?.isNews) kinds.add('backstop')
  if (change.bindings?.isDrift) kinds.add('bindings')
  if (change.hostNetwork?.isDrift) kinds.add('host-network')
  if (change.surprises.length > 0) kinds.add('set')
  return [...kinds]
}
