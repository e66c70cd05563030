import type { StatusReport } from '../control/status.ts'
import {
  guardsNone,
  statusReport,
  strayDnsOf,
  tellMetrics,
  unprotectedOf,
  type Guards,
  type DaemonFacts,
  type StatusSources,
} from '../status/report.ts'
import { guardProblem } from '../status/guard-names.ts'
import { headlineOf } from '../status/headline.ts'
import { FAMILIES } from '../net/types.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { COMMON } from '../policy/compile.ts'
import { Counters, type CountersSnapshot } from '../reconcile/counters.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { PassResult } from '../reconcile/model.ts'
import type { Trigger } from '../reconcile/loop.ts'
import type { NameState } from '../resolve/model.ts'
import { Reachability } from '../resolve/reachability.ts'
import type { LookupReport } from '../resolve/refresher.ts'
import type { Unprotected } from '../workloads/model.ts'
import type { NetworkResult } from '../proof/results.ts'
import type { HostView } from '../host/host-view.ts'
import { GatewayTelemetry } from './gateway-telemetry.ts'
import type { Health } from './health.ts'
import type { HoldOutcome } from './held-packets.ts'
import type { PassRecord } from './pass-record.ts'
import { PassProblems } from './pass-problems.ts'
import { Proofs } from './proofs.ts'
import { ConditionLogs } from './condition-logs.ts'
import { errorChain, errorMessage } from '../system/errors.ts'

/** What the daemon did and what is in force, recorded as it happens for Prometheus, `status` and the log. Nothing here acts. */
export class Telemetry {
  readonly metrics = new Metrics()
  readonly counters = new Counters()
  readonly proofs = new Proofs()
  readonly #reachability = new Reachability()
  readonly gateway: GatewayTelemetry
  readonly #passProblems: PassProblems
  #guards: Guards = { rules: false, backstop: false }
  #docker: StatusReport['docker'] = { connected: false, error: 'not asked yet' }
  #unprotected: readonly Unprotected[] = []
  readonly #conditionLogs: ConditionLogs
  #lastReconcile: StatusReport['lastReconcile']
  #lastVerified: StatusReport['lastVerified']
  #unreadFlows: string | undefined

  constructor(
    private readonly health: Health,
    private readonly log: Logger,
  ) {
    this.#conditionLogs = new ConditionLogs(log)
    this.gateway = new GatewayTelemetry(this.metrics, log)
    this.#passProblems = new PassProblems(health)
  }

  /** Which guards are known to be in force. */
  get guards(): Guards {
    return this.#guards
  }

  get dockerConnected(): boolean {
    return this.#docker.connected
  }

  /** Goes on from what an earlier process counted. */
  restore(snapshot: CountersSnapshot): void {
    this.counters.restore(snapshot)
    for (const [kind, count] of Object.entries(snapshot.repairs))
      this.metrics.inc('driftRepairs', { kind }, count)
  }

  setDockerState(state: StatusReport['docker']): void {
    this.#docker = state
    this.metrics.set('dockerConnected', {}, Number(state.connected))
    if (state.connected) {
      this.health.set('docker', undefined)
      this.#passProblems.forgetEngine()
    } else
      this.health.set('docker', `the Docker engine cannot be reached: ${state.error ?? 'no reason given'}`)
  }

  /** Without the backstop's twin the host is guarded all the same, so this is a line of the log and no problem. */
  setOwnedTableState(why: string | undefined): void {
    if (why === undefined) this.log.info({}, 'the backstop is held: a flush of all rules passes it by')
    else
      this.log.warn(
        { why },
        'the backstop cannot be held: a flush of all rules takes it until it is repaired',
      )
  }

  /** Why the kernel's rules or interfaces are not watched; undefined: they are. */
  setWatchProblem(what: 'interfaces' | 'rules', why: string | undefined): void {
    this.health.set(
      `watching ${what}`,
      why && `the kernel does not tell of changes of ${what}, so they are seen late: ${why}`,
    )
  }

  /** What the last change of rights could not see, in a sentence. */
  get unreadFlows(): string | undefined {
    return this.#unreadFlows
  }

  setUnreadFlows(error: unknown): void {
    const problem = 'live connections could not be read: those on expired addresses may break'
    this.#unreadFlows = `${problem} (${errorMessage(error)})`
    this.log.warn({ err: error }, problem)
  }

  forgetUnreadFlows(): void {
    this.#unreadFlows = undefined
  }

  /** Why the kernel still knows revoked connections between containers; undefined: it knows none. */
  setUnforgottenFlows(why: unknown): void {
    this.health.set(
      'revoked',
      why === undefined
        ? undefined
        : `revoked connections between containers go on by their replies: ${errorMessage(why)}`,
    )
  }

  lookedUp({ lookup, durationMs, refused }: LookupReport): void {
    const records = lookup.kind === 'addresses' ? lookup.records.length : 0
    const outcome = records > 0 && refused.length >= records ? 'refused_range' : lookup.kind
    this.metrics.inc('lookups', { outcome })
    this.metrics.observe('lookupDuration', durationMs / 1000)
    const unanswered = this.#reachability.note(lookup, performance.now())
    this.health.set('resolver', unanswered)
  }

  /** A first packet of a container is held no longer. */
  heldAtStart(outcome: HoldOutcome, heldMs: number): void {
    this.metrics.inc('startHold', { outcome })
    this.metrics.observe('startHoldDuration', heldMs / 1000)
  }

  /** What a person's `embargod verify` found. */
  verified(proof: {
    readonly atMs: number
    readonly passed: boolean
    readonly networks: readonly NetworkResult[]
  }): null {
    this.log[proof.passed ? 'info' : 'error']({ passed: proof.passed }, 'verified')
    this.#recordProof(proof.networks, proof.atMs, proof.passed)
    return null
  }

  /** What the daemon's own proof found. */
  proven(results: readonly NetworkResult[], atMs: number): void {
    if (results.length === 0) return
    this.#recordProof(
      results,
      atMs,
      results.every(({ problem }) => problem === undefined),
    )
  }

  #recordProof(results: readonly NetworkResult[], atMs: number, passed: boolean): void {
    this.proofs.record(results, atMs)
    this.#lastVerified = { atMs, passed }
    if (passed) this.metrics.set('lastVerified', {}, atMs / 1000)
    this.#publishProofs()
  }

  #publishProofs(): void {
    const { rows, problem } = this.proofs
    const series = rows.map(({ network, passed }) => ({ labels: { network }, value: Number(passed) }))
    this.metrics.replace('proof', series)
    this.health.set('proof', problem)
  }

  /** A pass went well. */
  passed(
    result: PassResult,
    triggers: ReadonlySet<Trigger>,
    desired: Desired,
    known: ReadonlyMap<string, KnownSet>,
    host: HostView,
  ): void {
    const { observed, summary, drift, backstopError, fight } = result
    const { inventory, engine, engineConfig } = host
    this.#passProblems.update(result, desired, {
      inventory,
      engine,
      engineConfig,
      isConnected: this.#docker.connected,
    })
    const backstop = backstopError === undefined && (this.#guards.backstop || observed.parts.has('backstop'))
    this.#guards = { rules: fight?.waitMs === undefined, backstop }
    this.counters.readRules(desired.dataplane(), observed.rules)
    const { rights } = desired.hostFacts
    this.counters.readSets(known, observed.sets, desired, rights?.unknown === 'deny' ? 'unknown' : COMMON)
    desired.counted(observed.sets)
    if (summary.length > 0) {
      const changes = summary.slice(0, 20)
      this.log.info({ triggers: [...triggers], changes, count: summary.length }, 'kernel changed')
    }
    for (const kind of drift) {
      this.metrics.inc('driftRepairs', { kind })
      this.counters.countRepair(kind, Date.now())
      this.log.warn({ kind }, 'drift repaired')
    }
  }

  failed(error: unknown, triggers: ReadonlySet<Trigger>): void {
    this.#guards = { ...this.#guards, rules: false }
    this.health.set('kernel', `the kernel does not hold the policy: ${errorChain(error)}`)
    this.log.error({ err: error, triggers: [...triggers] }, 'pass failed')
  }

  ended(record: PassRecord): void {
    const { triggers, outcome, durationMs } = record
    this.#lastReconcile = { atMs: Date.now(), outcome }
    for (const trigger of triggers) this.metrics.inc('reconciles', { trigger, outcome })
    this.metrics.observe('reconcileDuration', durationMs / 1000)
    this.metrics.set('lastReconcile', {}, Date.now() / 1000)
    this.log.debug(record.toLog(), 'pass')
  }

  report(view: StatusSources): void {
    this.#unprotected = unprotectedOf(view)
    tellMetrics(this.metrics, view, this.#unprotected, Date.now())
    const nowMs = Date.now()
    this.#conditionLogs.unprotected.tell(this.#unprotected, nowMs)
    this.#conditionLogs.strayRoutes.tell(view.host.strayRoutes, nowMs)
    this.#conditionLogs.strayDns.tell(strayDnsOf(view), nowMs)
    this.proofs.retain(
      new Set(view.desired.hostFacts.plan.guarded.flatMap(({ networkName }) => networkName ?? [])),
    )
    this.#publishProofs()
    this.#checkNames(view.addressStore.counts())
    const { config } = view.desired
    const unguarded = guardProblem(config.guard, view.host.inventory, view.host.docker.seenNetworks)
    this.health.set('guard', unguarded)
    // An engine that does not ask DOCKER-USER is held by the backstop alone.
    for (const reason of ['engine-backend', 'rootless'] as const) {
      const found = this.#unprotected.find((one) => one.reason === reason)
      this.health.set(reason, found?.advice)
    }
  }

  #checkNames(counts: Readonly<Record<NameState, number>>): void {
    const unresolved = this.health.has('resolver') ? undefined : this.#reachability.noneResolves(counts)
    this.health.set('names', unresolved)
  }

  /** Why the host is not as it should be, in sentences; empty when it is. */
  notReady(): readonly string[] {
    const { problems } = this.health
    return this.#guards.rules || this.health.has('fight')
      ? problems
      : ['the policy is not in the kernel yet', ...problems]
  }

  status(
    view: StatusSources,
    known: Pick<DaemonFacts, 'startedAtMs' | 'config' | 'temporary'>,
  ): StatusReport {
    const problems = this.notReady()
    const { rules, backstop } = this.#guards
    return statusReport(view, this.#unprotected, {
      ...known,
      headline: headlineOf({
        daemon: 'running',
        rules: rules ? FAMILIES : [],
        backstop,
        config: 'accepted',
        guardsNone: guardsNone(view),
        problems,
      }),
      problems,
      pid: process.pid,
      docker: this.#docker,
      drift: this.counters.drift,
      lastReconcile: this.#lastReconcile,
      lastVerified: this.#lastVerified,
    })
  }
}
