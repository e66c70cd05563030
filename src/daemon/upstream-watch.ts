import type { DnsClient } from '../dns/client.ts'
import type { Question } from '../dns/question.ts'
import { RCODE, TYPE } from '../dns/codes.ts'

export interface UpstreamWatchOptions {
  /** Called after each look; undefined: they answer. */
  readonly onState: (problem: string | undefined) => void
  readonly everyMs?: number
}

const LOOK_MS = 5_000
/** After this many questions in a row without an answer, a question of our own shows whether servers or names are at fault. */
const IN_VAIN = 2
/** Every recursive server can answer this, and it reveals nothing of what containers ask. */
const ROOT: Question = { name: '\0', type: TYPE.NS, dnssecOk: false, checkingDisabled: false }

/**
 * Watches whether any upstream of the gateway answers. Questions of containers cannot decide that: they may be for names whose own servers are dead, or may
 * have ended. So a question of our own decides.
 */
export class UpstreamWatch {
  readonly #options: UpstreamWatchOptions
  #timer: NodeJS.Timeout | undefined
  #upstreams: DnsClient | undefined
  #asking = false

  constructor(options: UpstreamWatchOptions) {
    this.#options = options
  }

  watch(upstreams: DnsClient): void {
    if (upstreams === this.#upstreams) return
    this.stop()
    this.#upstreams = upstreams
    this.#timer = setInterval(() => this.#look(upstreams), this.#options.everyMs ?? LOOK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#upstreams = undefined
    this.#options.onState(undefined)
  }

  #look(upstreams: DnsClient): void {
    if (this.#asking) return
    if (upstreams.failuresInARow < IN_VAIN) return this.#options.onState(undefined)
    this.#asking = true
    upstreams.ask(ROOT, () => {
      this.#asking = false
      if (upstreams !== this.#upstreams) return
      this.#options.onState(upstreams.failuresInARow < IN_VAIN ? undefined : problemOf(upstreams))
    })
  }
}

function problemOf(upstreams: DnsClient): string {
  const servers = upstreams
    .health()
    .map(({ server }) => server)
    .join(', ')
  const { lastRefusal: refusal } = upstreams
  const why =
    refusal === undefined
      ? `gets no answer from ${servers}: see that it runs and that this host may reach it`
      : `is told ${refusal === RCODE.refused ? 'REFUSED' : `code ${refusal}`} by ${servers}: see that it works and that this host may ask it`
  return `the DNS gateway ${why}, or name others in dns.upstreams; containers get old answers at best`
}
