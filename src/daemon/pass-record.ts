import type { PassResult } from '../reconcile/model.ts'
import type { Trigger } from '../reconcile/loop.ts'
import type { Scope } from '../targets/keeper.ts'

export type PassStep = 'refresh' | 'desired' | 'reconcile' | 'publish' | 'persist'

const MOST_CHANGES = 20

/** Why a pass ran, what it changed and how long its steps took: for metrics, and for the debug log. */
export class PassRecord {
  readonly startedMs = performance.now()
  #stepMs = this.startedMs
  readonly #steps: Partial<Record<PassStep, number>> = {}
  #scope: Scope | undefined
  #result: PassResult | undefined

  constructor(readonly triggers: ReadonlySet<Trigger>) {}

  /** The step before ended when this one began. */
  stepDone(step: PassStep): void {
    const nowMs = performance.now()
    this.#steps[step] = Math.round(nowMs - this.#stepMs)
    this.#stepMs = nowMs
  }

  reconciled(scope: Scope, result: PassResult): void {
    this.#scope = scope
    this.#result = result
    this.stepDone('reconcile')
  }

  get outcome(): PassResult['outcome'] | 'failed' {
    return this.#result?.outcome ?? 'failed'
  }

  get durationMs(): number {
    return performance.now() - this.startedMs
  }

  /** Gauges cost more than a small pass: after answers, or when rules of others changed, they wait for the next timer. */
  get isWorthReport(): boolean {
    const { outcome } = this
    return (
      outcome === 'failed' ||
      [...this.triggers].some(
        (trigger) => trigger !== 'answer' && !(trigger === 'drift' && outcome === 'unchanged'),
      )
    )
  }

  /** The fields of the pass's line in the debug log. Times are milliseconds. */
  toLog(): Readonly<Record<string, unknown>> {
    const summary = this.#result?.summary ?? []
    return {
      triggers: [...this.triggers],
      ...(this.#scope && this.#result ? { scope: scopeToLog(this.#scope, this.#result) } : {}),
      changes: summary.slice(0, MOST_CHANGES),
      count: summary.length,
      drift: this.#result?.drift ?? [],
      steps: this.#steps,
      outcome: this.outcome,
    }
  }
}

/** A pass reads more parts than it was asked for when the desired rules have changed. */
const scopeToLog = (
  { headers, read, everything }: Scope,
  { observed }: PassResult,
): Readonly<Record<string, unknown>> => ({
  parts: [...observed.parts],
  headers,
  read: read.length,
  everything,
})
