import { changeLines, changeOf } from '../config/change.ts'
import type { Config } from '../config/model.ts'
import type { ReloadAnswer } from '../control/protocol.ts'
import type { Logger } from '../observe/logger.ts'
import type { ConfigHolder } from './config-holder.ts'
import type { Store } from './store.ts'
import { Trial } from './trial.ts'

export interface SwitchOptions {
  readonly holder: ConfigHolder
  readonly log: Logger
  /** Resolves when the kernel holds it, or would not. */
  readonly putInForce: (config: Config) => Promise<void>
  /** What is in force, as a text to compare. */
  readonly shape: () => string
  /** The config in force. */
  readonly config: () => Config
  /** Why the kernel is not as desired. */
  readonly failure: () => string | undefined
  /** What is wrong now, in sentences, and what of the config that was put in force last does not work. */
  readonly problems: () => readonly string[]
  readonly failures: () => readonly string[]
  readonly onLoaded: (isGood: boolean) => void
  /** What is in force ends with no trial any more, and may be enforced from now on by whoever starts next. */
  readonly onConfirmed: () => Promise<void>
  /** What nobody confirmed is still what the daemon wants, though the kernel itself has ended it. */
  readonly onNotTakenBack: (error: unknown) => void
  /** Nobody confirmed the first config ever: there is none to go back to. */
  readonly onNoWayBack: () => void
}

/** Configs are taken over, confirmed and taken back one after the other. */
export class ConfigSwitch {
  readonly #trial = new Trial(() => {
    this.#takeBack().catch((error: unknown) => this.options.onNotTakenBack(error))
  })
  #turn: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(private readonly options: SwitchOptions) {}

  /** Until when what is in force has to be confirmed, epoch ms; undefined: it is on no trial. */
  get untilMs(): number | undefined {
    return this.#trial.untilMs
  }

  beginTrial(confirmMs: number): void {
    this.#trial.begin(confirmMs)
    this.options.log.warn(
      { seconds: confirmMs / 1000 },
      'the config is on trial: `embargod confirm` keeps it',
    )
  }

  /** @param confirmMs how long it is on trial; undefined: it is taken for good */
  reload(store: Store, confirmMs: number | undefined): Promise<ReloadAnswer> {
    return this.#inTurn(() => this.#reload(store, confirmMs === undefined ? 'good' : { confirmMs }))
  }

  /** A signal is no word of a person: a terminal that hangs up sends it too. So it neither ends a trial nor takes what nobody confirmed. */
  reloadBySignal(store: Store): Promise<ReloadAnswer> {
    return this.#inTurn(() => this.#reload(store, 'signal'))
  }

  /** What is on trial stays. False: nothing is. */
  confirm(store: Store): Promise<boolean> {
    return this.#inTurn(async () => {
      this.#trial.end()
      if (!(await this.options.holder.confirm(store))) return false
      await this.options.onConfirmed()
      this.options.log.info({}, 'the config is confirmed')
      return true
    })
  }

  stop(): void {
    this.#stopped = true
    this.#trial.end()
  }

  async #reload(
    store: Store,
    wish: 'good' | 'signal' | { readonly confirmMs: number },
  ): Promise<ReloadAnswer> {
    const { holder, log, putInForce, shape, failure, onLoaded, failures } = this.options
    const { config, problems } = await holder.again(store, typeof wish === 'string' ? wish : 'trial')
    onLoaded(config !== undefined)
    if (!config) return { outcome: 'refused', problems }
    if (typeof wish === 'object') this.beginTrial(wish.confirmMs)
    // Who takes the file as it is now has no more doubts about the one on trial.
    else if (wish === 'good') this.#trial.end()
    const before = {
      shape: shape(),
      config: this.options.config(),
      problems: new Set(this.options.problems()),
    }
    await putInForce(config)
    const unsaved = typeof wish === 'string' ? holder.unsaved(store) : undefined
    const detail = failure()
    if (detail !== undefined) return { outcome: 'failed', problems, detail, ...(unsaved ? { unsaved } : {}) }
    const outcome = before.shape === shape() ? 'unchanged' : 'applied'
    const changes = changeLines(changeOf(before.config, config, Date.now()))
    const isNews = (problem: string): boolean =>
      !before.problems.has(problem) && (unsaved === undefined || !problem.startsWith('state cannot be'))
    const notWorking = [...failures(), ...this.options.problems().filter(isNews)]
    const { untilMs } = this
    const answer: ReloadAnswer = {
      outcome,
      problems,
      changes,
      notWorking,
      ...(unsaved === undefined ? {} : { unsaved }),
      ...(untilMs === undefined ? {} : { confirmUntilMs: untilMs }),
    }
    // Whoever sends a signal reads the log.
    const level = notWorking.length > 0 || unsaved !== undefined ? 'warn' : 'info'
    log[level]({ outcome, changes, notWorking, unsaved }, 'reloaded')
    return answer
  }

  #takeBack(): Promise<void> {
    const { holder, log, putInForce, onLoaded, onNoWayBack } = this.options
    return this.#inTurn(async () => {
      // Confirmed, or replaced by another, while something else had the turn.
      if (!this.#trial.isOver || this.#stopped) return
      this.#trial.end()
      const config = holder.takeBack()
      onLoaded(false)
      log.warn({}, 'the config was not confirmed in time: the one before comes back')
      if (config) await putInForce(config)
      else onNoWayBack()
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work)
    this.#turn = turn
    return turn
  }
}
