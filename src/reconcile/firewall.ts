import { marksOf } from '../config/marks.ts'
import type { Dataplane } from '../dataplane/model.ts'
import { lingerSet, revokedSet } from '../dataplane/names.ts'
import type { RevokeInput } from '../dataplane/revoke.ts'
import { FAMILIES, type Address } from '../net/types.ts'
import type { SetsChange } from '../targets/ipset/keeper.ts'
import { PARTS, type DesiredState, type DriftKind, type Scope } from '../targets/keeper.ts'
import { Fights, type Fight } from './fight.ts'
import type { Generation } from './generation.ts'
import { GenerationChange } from './generation-change.ts'
import { judgementOf } from './judgement.ts'
import { createKeepers, type Changes, type Keepers } from './keepers.ts'
import { LiveConnections } from './live-connections.ts'
import type { FirewallOptions, PassResult } from './model.ts'
import { prolongAdmitted } from './prolong-admitted.ts'
import { Readmission } from './readmission.ts'
import { driftOf, Reconciler, summaryOf, type Observed } from './reconciler.ts'
import { rejudge } from './rejudge.ts'
import { areSameRights, rightsInputs, type RightsInputs } from './rights-inputs.ts'

/** What a pass works towards. */
interface Aim {
  readonly next: Generation
  /** Does another generation begin? */
  readonly isNew: boolean
  readonly state: DesiredState
  readonly rights: RightsInputs
}

interface Reconciled {
  readonly aim: Aim
  readonly changes: Changes
  readonly observed: Observed
  readonly drift: readonly DriftKind[]
  readonly fight: Fight | undefined
}

/** One pass from what is desired to what the kernel holds, with the change of generation that a change of rights needs. */
export class Firewall {
  readonly keepers: Keepers
  readonly #options: FirewallOptions
  readonly #reconciler: Reconciler
  readonly #generations: GenerationChange
  readonly #connections: LiveConnections
  readonly #readmission: Readmission
  readonly #fights = new Fights()
  #adopted = false
  /** What is in force by the last pass that went well. */
  #applied: Dataplane | undefined
  /** The rights whose chains are in force with it. */
  #appliedRights: RightsInputs | undefined

  constructor(options: FirewallOptions) {
    this.#options = options
    this.keepers = createKeepers(options.drivers, options.onBound)
    this.#reconciler = new Reconciler(this.keepers)
    this.#generations = new GenerationChange(options.generation, options.keepGeneration)
    const { conntrack, desired, onUnforgotten } = options
    this.#connections = new LiveConnections({
      conntrack,
      desired,
      onUnforgotten,
      generations: this.#generations,
    })
    this.#readmission = new Readmission(this.keepers.sets.known)
  }

  get generation(): Generation {
    return this.#generations.current
  }

  /** The fast path added this address. True: flows to it are revoked, so the next pass has to see whether they are allowed now. */
  noteAdded(address: Address): boolean {
    return this.#readmission.noteAdded(address)
  }

  /** Nothing is believed to be in force any more: the next pass reads and compares everything. */
  forget(): void {
    this.keepers.sets.forget()
    this.#options.desired.membership.touchAll()
  }

  /** Looks, compares, writes. Rejects when the rules or sets are not as desired; a missing backstop alone is a partial outcome. */
  async pass(scope: Scope, nowMs: number): Promise<PassResult> {
    this.#at('the tools that read the kernel')
    await this.#adoptOnce(nowMs)
    const first = this.#aim()
    const bound = await this.#bindAtOnce(first)
    const { aim, changes, observed, drift, fight } = await this.#reconcile(first, scope, nowMs)
    await this.#settle(aim, nowMs)
    const { backstop, bindings, hostNetwork } = this.keepers
    const summary = [...(bound === undefined ? [] : [bound]), ...summaryOf(changes)]
    const isPartial = [backstop.failure, bindings.problem, hostNetwork.problem].some(
      (one) => one !== undefined,
    )
    return {
      outcome: isPartial ? 'partial' : summary.length > 0 ? 'changed' : 'unchanged',
      summary,
      observed,
      drift,
      backstopError: backstop.failure,
      fight,
      bindingsProblem: bindings.problem,
      hostNetworkProblem: hostNetwork.problem,
    }
  }

  async #adoptOnce(nowMs: number): Promise<void> {
    if (this.#adopted) return
    const { sets } = this.keepers
    await sets.readAll(nowMs)
    this.#options.adopt(sets.known, nowMs)
    this.#adopted = true
  }

  /** What is desired now, and the generation that it needs. */
  #aim(): Aim {
    const { desired } = this.#options
    const marks = marksOf(desired.config)
    const next = this.#generations.nextFor(desired.policies.digest, marks)
    desired.setGeneration(next.generation)
    const isNew = next !== this.#generations.current
    const former = isNew ? this.#generations.bearingsOfCurrent(marks) : []
    return { next, isNew, state: desired.stateFor(former), rights: rightsInputs(desired) }
  }

  /** Where the chains of all rights are in force, bindings wait for no look at the rules, nor for those of a new network: a container is starting. */
  async #bindAtOnce({ state, rights }: Aim): Promise<string | undefined> {
    if (this.#applied === undefined || !areSameRights(this.#appliedRights, rights)) return undefined
    return this.keepers.bindings.bindNow(state.bindings)
  }

  async #reconcile(first: Aim, scope: Scope, nowMs: number): Promise<Reconciled> {
    const { membership } = this.#options.desired
    let aim = first
    try {
      let planned = await this.#plan(aim, scope, nowMs)
      // The policy was changed while the kernel was read: members of the new one were compared with sets of the old one.
      while (aim.state.dataplane !== this.#options.desired.dataplane()) {
        membership.touchAll()
        aim = this.#aim()
        planned = await this.#plan(aim, scope, nowMs)
      }
      const { observed } = planned
      const { dataplane } = aim.state
      const sets = await this.#judgeFlows(planned.changes.sets, aim, nowMs)
      const { isInForce } = this.keepers.backstop
      const judged = this.#fights.judge(planned.changes.rules, observed.rules, dataplane.rules, isInForce)
      const changes = { ...planned.changes, sets, rules: judged.change }
      const drift = dataplane === this.#applied ? driftOf(changes) : []
      await this.#apply(changes)
      return { aim, changes, observed, drift, fight: judged.fight }
    } catch (error) {
      // The plan took the elements that had changed, and they were not written.
      membership.touchAll()
      throw error
    } finally {
      this.keepers.sets.fastPath.endRemoval()
      this.#readmission.forgetDestinations()
    }
  }

  #plan({ state }: Aim, scope: Scope, nowMs: number): ReturnType<Reconciler['plan']> {
    const wide = state.dataplane === this.#applied ? scope : { ...scope, parts: new Set(PARTS) }
    return this.#reconciler.plan(state, wide, nowMs)
  }

  /** With a new generation every live flow is judged again. Within one, flows are only taken back whose right has come back. */
  #judgeFlows(sets: SetsChange, { isNew, next }: Aim, nowMs: number): SetsChange | Promise<SetsChange> {
    return isNew
      ? this.#beginGeneration(next, sets, nowMs)
      : this.#readmission.readmit(sets, () => this.#judgement())
  }

  async #beginGeneration(next: Generation, sets: SetsChange, nowMs: number): Promise<SetsChange> {
    const { desired, drivers, onBlind } = this.#options
    const { known } = this.keepers.sets
    this.#at('the disk that holds the state')
    await this.#generations.announce(next, marksOf(desired.config))
    // Not where a pass has failed: a right must not last as long as passes fail.
    if (!this.#generations.hasBegun(next)) {
      const lines = prolongAdmitted(known, nowMs)
      if (lines.length > 0) await drivers.ipset.write(lines)
    }
    this.#at('conntrack, which lists live connections')
    const flows = await this.#connections.flows(next).catch((error: unknown) => {
      onBlind(error)
      return []
    })
    this.#generations.begin(next)
    await this.keepers.sets.refresh(FLOW_SETS, nowMs)
    const { lines, between } = rejudge(flows, known, this.#judgement(), nowMs)
    this.#connections.revoke(between)
    return { ...sets, before: [...sets.before, ...lines] }
  }

  async #apply(changes: Changes): Promise<void> {
    this.#at('the tools that write the kernel')
    try {
      await this.#reconciler.apply(changes)
    } catch (error) {
      this.#applied = undefined
      throw error
    }
  }

  /** The rules are in force. */
  async #settle({ next, isNew, state, rights }: Aim, nowMs: number): Promise<void> {
    // Once more: what the rules before have marked until now.
    if (isNew) await this.#connections.forgetMisread(next)
    await this.#connections.forgetRevoked()
    this.#applied = state.dataplane
    this.#appliedRights = rights
    this.#generations.settle(next)
    if (!isNew) return
    this.#at('the disk that holds the state')
    await this.#options.keepGeneration(next)
    this.#at('the tools that read the kernel')
    await this.keepers.sets.refresh(FLOW_SETS, nowMs)
  }

  #judgement(): RevokeInput {
    return judgementOf(this.#options.desired, this.#options.namesThatHad)
  }

  #at(step: string): void {
    this.#options.onStep?.(step)
  }
}

const FLOW_SETS = FAMILIES.flatMap((family) => [revokedSet(family), lingerSet(family)])
