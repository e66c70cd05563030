import { marksOf, type MarkLayout } from '../config/marks.ts'
import { RulesAhead } from './rules-ahead.ts'
import { markWords } from '../dataplane/foreign-mark.ts'
import { foreignMarks } from '../targets/iptables/foreign-marks.ts'
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
import { OUTCOMES, type Outcome, type QueryReport } from '../gateway/model.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import type { Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { COMMON } from '../policy/compile.ts'
import { Counters, type CountersSnapshot } from '../reconcile/counters.ts'
import type { Desired } from '../reconcile/desired.ts'
import { EngineRules } from '../reconcile/engine-rules.ts'
import type { PassResult } from '../reconcile/firewall.ts'
import type { Trigger } from '../reconcile/loop.ts'
import { PARTS } from '../targets/keeper.ts'
import type { NameState } from '../resolve/model.ts'
import { Reachability } from '../resolve/reachability.ts'
import type { LookupReport } from '../resolve/refresher.ts'
import type { Unprotected } from '../workloads/model.ts'
import type { NetworkResult } from '../proof/results.ts'
import type { HostView } from '../host/host-view.ts'
import { usesIptables } from '../workloads/engine.ts'
import type { Health } from './health.ts'
import type { HoldOutcome } from './held-packets.ts'
import type { PassRecord } from './pass-record.ts'
import { Proofs } from './proofs.ts'
import { QueryLog } from './query-log.ts'
import { ConditionLogs } from './condition-logs.ts'
import { errorChain, errorMessage } from '../system/errors.ts'

/** What is known of the engine. */
type EngineView = Pick<HostView, 'inventory' | 'engine' | 'engineConfig'>

/** What the daemon did and what stands, booked as it happens: for Prometheus, for `status`, for the log. Nothing here acts. */
export class Telemetry {
  readonly metrics = new Metrics()
  readonly counters = new Counters()
  readonly proofs = new Proofs()
  readonly #reachability = new Reachability()
  readonly #engineRules = new EngineRules()
  readonly #rulesAhead = new RulesAhead()
  #guards: Guards = { rules: false, backstop: false }
  #docker: StatusReport['docker'] = { connected: false, error: 'not asked yet' }
  #unprotected: readonly Unprotected[] = []
  readonly #standingLogs: ConditionLogs
  readonly #queryLog: QueryLog
  readonly #queries = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>
  #lastReconcile: StatusReport['lastReconcile']
  #lastVerified: StatusReport['lastVerified']
  #unreadFlows: string | undefined

  constructor(
    private readonly health: Health,
    private readonly log: Logger,
  ) {
    this.#standingLogs = new ConditionLogs(log)
    this.#queryLog = new QueryLog(log)
  }

  /** Which guards are known to stand. */
  get guards(): Guards {
    return this.#guards
  }

  /** Questions to the DNS gateway by what became of them. */
  get queries(): Readonly<Record<Outcome, number>> {
    return this.#queries
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
      this.#engineRules.forget()
    } else
      this.health.set('docker', `the Docker engine cannot be reached: ${state.error ?? 'no reason given'}`)
  }

  /** The backstop's twin is one table the more and never one the less: without it the host is guarded, so it is told and not degraded. */
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

  queried(report: QueryReport, wish: 'denied' | 'all' | 'none'): void {
    this.#queries[report.outcome]++
    this.#countQuery(report)
    this.#queryLog.tell(report, wish, performance.now())
  }

  /** A question that embargod itself could not answer: nobody knows any more whose it was. */
  gatewayFaulted(): void {
    this.#queries.failed++
    this.#countQuery({
      policy: 'unknown',
      outcome: 'failed',
      type: 'other',
      durationMs: 0,
      waitedForKernel: false,
    })
  }

  #countQuery(
    query: Pick<QueryReport, 'policy' | 'outcome' | 'type' | 'durationMs' | 'waitedForKernel'>,
  ): void {
    this.metrics.queries.add(query)
    this.metrics.observe('dnsDuration', query.durationMs / 1000)
    if (query.waitedForKernel) this.metrics.inc('dnsHeld', {})
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
    this.#bookProof(proof.networks, proof.atMs, proof.passed)
    return null
  }

  /** What the daemon's own proof found: told of when it changes. */
  proven(results: readonly NetworkResult[], atMs: number): void {
    if (results.length === 0) return
    this.#bookProof(
      results,
      atMs,
      results.every(({ problem }) => problem === undefined),
    )
  }

  #bookProof(results: readonly NetworkResult[], atMs: number, passed: boolean): void {
    this.proofs.book(results, atMs)
    this.#lastVerified = { atMs, passed }
    if (passed) this.metrics.set('lastVerified', {}, atMs / 1000)
    this.#tellProofs()
  }

  #tellProofs(): void {
    const { rows, problem } = this.proofs
    const series = rows.map(({ network, passed }) => ({ labels: { network }, value: Number(passed) }))
    this.metrics.replace('proof', series)
    this.health.set('proof', problem)
  }

  passed(
    { observed, summary, drift, backstopError, fight, bindingsProblem, hostNetworkProblem }: PassResult,
    triggers: ReadonlySet<Trigger>,
    desired: Desired,
    known: ReadonlyMap<string, KnownSet>,
    host: EngineView,
  ): void {
    this.health.set('kernel', undefined)
    const rules = fight?.waitMs === undefined
    if (fight) this.health.set('fight', fight.words)
    else if (observed.parts.size > 0) this.health.set('fight', undefined)
    this.#lookAtEngine(observed.rules, host)
    this.#lookAtMarks(observed.rules, marksOf(desired.config))
    const ahead = this.#rulesAhead.look(desired.dataplane().rules, observed.rules, performance.now())
    this.health.set('rules-ahead', ahead)
    if (backstopError !== undefined) {
      this.#guards = { rules, backstop: false }
      this.health.set('backstop', `the second guard is missing: ${errorChain(backstopError)}`)
    } else {
      this.#guards = { rules, backstop: this.#guards.backstop || observed.parts.has('backstop') }
      if (observed.parts.has('backstop')) this.health.set('backstop', undefined)
    }
    if (bindingsProblem === undefined) this.health.set('bindings', undefined)
    else {
      const meanwhile = desired.hostFacts.classOfBridge
        ? 'are told apart by their networks alone'
        : 'cannot be bound to their ports, and who was not bound before is held for unknown'
      this.health.set('bindings', `containers ${meanwhile}: ${bindingsProblem}`)
    }
    if (hostNetworkProblem === undefined) this.health.set('host-network', undefined)
    else
      this.health.set(
        'host-network',
        `containers on the network of the host are not held to policy: ${hostNetworkProblem}`,
      )
    if (observed.leftoverProblem !== undefined) this.health.set('leftovers', observed.leftoverProblem)
    else if (observed.parts.size === PARTS.length) this.health.set('leftovers', undefined)
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

  /** Without its NAT and its isolation the engine's networks do not work, and it is the only one who can put them back. */
  #lookAtEngine(
    rules: PassResult['observed']['rules'],
    { inventory, engine, engineConfig }: EngineView,
  ): void {
    // What an engine has that is away is not known. Rules in nftables, or in a namespace of its own, are not seen here.
    const isJudged = this.#docker.connected && inventory && engine && usesIptables(engine) && !engine.rootless
    const gone = isJudged
      ? this.#engineRules.look(rules, { networks: inventory.networks, switches: engineConfig.switches })
      : undefined
    if (gone !== undefined) this.health.set('engine-rules', gone)
    else this.health.set('engine-rules', undefined)
  }

  #lookAtMarks(rules: PassResult['observed']['rules'], marks: MarkLayout): void {
    // Both families are told at once, or the words would change with whichever was read.
    if (FAMILIES.some((family) => rules[family] === undefined)) return
    const found = foreignMarks(rules, marks)
    if (found.length === 0) this.health.set('marks', undefined)
    else this.health.set('marks', markWords(found, marks))
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
    this.#standingLogs.unprotected.tell(this.#unprotected, nowMs)
    this.#standingLogs.strayRoutes.tell(view.host.strayRoutes, nowMs)
    this.#standingLogs.strayDns.tell(strayDnsOf(view), nowMs)
    this.proofs.retain(
      new Set(view.desired.hostFacts.plan.guarded.flatMap(({ networkName }) => networkName ?? [])),
    )
    this.#tellProofs()
    this.#tellNames(view.addressStore.counts())
    const { config } = view.desired
    const unguarded = guardProblem(config.guard, view.host.inventory, view.host.docker.seenNetworks)
    this.health.set('guard', unguarded)
    // An engine that does not ask DOCKER-USER is held by the backstop alone.
    for (const reason of ['engine-backend', 'rootless'] as const) {
      const found = this.#unprotected.find((one) => one.reason === reason)
      if (found) this.health.set(reason, found.advice)
      else this.health.set(reason, undefined)
    }
  }

  #tellNames(counts: Readonly<Record<NameState, number>>): void {
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
