import { marksOf, type MarkLayout } from '../config/marks.ts'
import { markWords } from '../dataplane/foreign-mark.ts'
import type { HostView } from '../host/host-view.ts'
import { FAMILIES } from '../net/types.ts'
import type { Desired } from '../reconcile/desired.ts'
import { EngineRules } from '../reconcile/engine-rules.ts'
import type { PassResult } from '../reconcile/model.ts'
import { errorChain } from '../system/errors.ts'
import { foreignMarks } from '../targets/iptables/foreign-marks.ts'
import { PARTS } from '../targets/keeper.ts'
import { usesIptables } from '../workloads/engine.ts'
import type { Health } from './health.ts'
import { RulesAhead } from './rules-ahead.ts'

/** What is known of the engine. */
export type EngineView = Pick<HostView, 'inventory' | 'engine' | 'engineConfig'> & {
  readonly isConnected: boolean
}

/** Derives problems from the result of a pass that went well, and ends those that are over. What the pass did not look at stays as it was. */
export class PassProblems {
  readonly #engineRules = new EngineRules()
  readonly #rulesAhead = new RulesAhead()

  constructor(private readonly health: Health) {}

  /** After a new connection, the rules that the engine had before are no measure any more. */
  forgetEngine(): void {
    this.#engineRules.forget()
  }

  update(result: PassResult, desired: Desired, engine: EngineView): void {
    const { health } = this
    const { observed, fight, backstopError } = result
    health.set('kernel', undefined)
    if (fight || observed.parts.size > 0) health.set('fight', fight?.words)
    health.set('engine-rules', this.#engineProblem(observed.rules, engine))
    this.#lookAtMarks(observed.rules, marksOf(desired.config))
    health.set(
      'rules-ahead',
      this.#rulesAhead.look(desired.dataplane().rules, observed.rules, performance.now()),
    )
    if (backstopError !== undefined)
      health.set('backstop', `the second guard is missing: ${errorChain(backstopError)}`)
    else if (observed.parts.has('backstop')) health.set('backstop', undefined)
    health.set('bindings', bindingsWords(result, desired))
    health.set('host-network', hostNetworkWords(result))
    const { leftoverProblem } = observed
    if (leftoverProblem !== undefined || observed.parts.size === PARTS.length)
      health.set('leftovers', leftoverProblem)
  }

  /** Without its NAT and its isolation the engine's networks do not work, and only the engine can put them back. */
  #engineProblem(
    rules: PassResult['observed']['rules'],
    { isConnected, inventory, engine, engineConfig }: EngineView,
  ): string | undefined {
    // While the engine is away it is unknown which rules it should have. Rules in nftables, or in a namespace of its own, are not seen here.
    const isJudged = isConnected && inventory && engine && usesIptables(engine) && !engine.rootless
    if (!isJudged) return undefined
    return this.#engineRules.look(rules, { networks: inventory.networks, switches: engineConfig.switches })
  }

  #lookAtMarks(rules: PassResult['observed']['rules'], marks: MarkLayout): void {
    // Read in both families, or the sentence would change with the family that was read.
    if (FAMILIES.some((family) => rules[family] === undefined)) return
    const found = foreignMarks(rules, marks)
    this.health.set('marks', found.length === 0 ? undefined : markWords(found, marks))
  }
}

function bindingsWords({ bindingsProblem }: PassResult, { hostFacts }: Desired): string | undefined {
  if (bindingsProblem === undefined) return undefined
  const meanwhile = hostFacts.classOfBridge
    ? 'are told apart by their networks alone'
    : 'cannot be bound to their ports, and those not bound before count as unknown'
  return `containers ${meanwhile}: ${bindingsProblem}`
}

const hostNetworkWords = ({ hostNetworkProblem }: PassResult): string | undefined =>
  hostNetworkProblem && `containers on the network of the host are not held to policy: ${hostNetworkProblem}`
