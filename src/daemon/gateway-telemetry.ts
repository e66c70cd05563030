import { OUTCOMES, type Outcome, type QueryReport } from '../gateway/model.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import { QueryLog } from './query-log.ts'

/** What became of the questions to the DNS gateway, for metrics, `status` and the log. */
export class GatewayTelemetry {
  readonly #metrics: Metrics
  readonly #log: QueryLog
  readonly #outcomes = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>

  constructor(metrics: Metrics, log: Logger) {
    this.#metrics = metrics
    this.#log = new QueryLog(log)
  }

  get outcomes(): Readonly<Record<Outcome, number>> {
    return this.#outcomes
  }

  /** @param logged which questions the config wants in the log */
  answered(report: QueryReport, logged: 'denied' | 'all' | 'none'): void {
    this.#count(report)
    this.#log.tell(report, logged, performance.now())
  }

  /** A fault of embargod cost a question its answer. By then it is not known who asked. */
  faulted(): void {
    this.#count({
      policy: 'unknown',
      outcome: 'failed',
      type: 'other',
      durationMs: 0,
      waitedForKernel: false,
    })
  }

  #count(query: Pick<QueryReport, 'policy' | 'outcome' | 'type' | 'durationMs' | 'waitedForKernel'>): void {
    this.#outcomes[query.outcome]++
    this.#metrics.queries.add(query)
    this.#metrics.observe('dnsDuration', query.durationMs / 1000)
    if (query.waitedForKernel) this.#metrics.inc('dnsHeld', {})
  }
}
