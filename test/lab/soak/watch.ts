import { cpus, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { scrape } from '../scrape.ts'
import { CounterWatch } from './counters.ts'
import type { Action } from './action.ts'
import type { SoakHost } from './host.ts'

/** What was counted in the course of a soak. */
export interface Tally {
  /** Forbidden packets of the three long-lived containers, which left them. */
  sent: number
  /** Forbidden packets that arrived. */
  leaked: number
  fetched: number
  failed: number
  /** Of the failed, those in steps that cut by themselves. */
  cut: number
  /** Of the other failed, those while the machine was starved: an answer that takes 3 s proves nothing then. */
  starved: number
}

/** The daemon measures its loop's delay as the time between two turns of a timer of so many ms. */
const LOOP_TIMER_MS = 500
/** Programs that want to run, by core, over the last minute. */
const STARVED_LOAD = 5

/** Looks at the host after each step and says what is not as it has to be. */
export class Watch {
  readonly tally: Tally = { sent: 0, leaked: 0, fetched: 0, failed: 0, cut: 0, starved: 0 }
  readonly counters = new CounterWatch()
  private arrived = 0
  private sent = 0
  private fetched = 0
  /** Failures of each client that were told already. */
  private seen: readonly number[] = []
  private readonly lags: number[] = []

  private constructor(private readonly host: SoakHost) {}

  /** From here on nothing may leak. */
  static async start(host: SoakHost): Promise<Watch> {
    const watch = new Watch(host)
    await watch.traffic()
    Object.assign(watch.tally, { sent: 0, leaked: 0, fetched: 0, failed: 0, cut: 0, starved: 0 })
    return watch
  }

  /** After the step has settled. */
  async faults(actions: readonly Pick<Action, 'cuts'>[]): Promise<readonly string[]> {
    const page = await scrape(this.host.lab)
    const lag = page.samples.find(({ name }) => name === 'nodejs_eventloop_lag_mean_seconds')
    if (lag && Number.isFinite(lag.value)) this.lags.push(lag.value * 1000 - LOOP_TIMER_MS)
    const { leaked, failed, flooded } = await this.traffic()
    const cuts = actions.some((one) => one.cuts !== undefined)
    const starved = !cuts && (loadavg()[0] ?? 0) / cpus().length > STARVED_LOAD
    if (cuts) this.tally.cut += failed.length
    if (starved) this.tally.starved += failed.length
    return [
      ...(leaked > 0 ? [`${leaked} packets leaked`] : []),
      ...(flooded ? [] : ['no flood: nothing was sent']),
      ...(failed.length > 0 && !cuts && !starved
        ? [`${failed.length} allowed requests failed: ${failed.slice(0, 5).join('; ')}`]
        : []),
      ...this.counters.fallen(page, this.host.daemon.pid),
    ]
  }

  /** Mean delays of the event loop between the looks since this was last asked for, in ms. */
  takeLags(): readonly number[] {
    return this.lags.splice(0)
  }

  private async traffic(): Promise<{ leaked: number; failed: readonly string[]; flooded: boolean }> {
    await this.decided()
    const { traffic } = this.host
    const [sent, arrived, requests] = await Promise.all([
      traffic.sent(),
      traffic.arrived(),
      traffic.requests(),
    ])
    const all = {
      sent: sent.ipv4 + sent.ipv6,
      arrived: [...arrived.values()].reduce((sum, count) => sum + count, 0),
      fetched: requests.reduce((sum, one) => sum + one.fetched, 0),
    }
    const failures = requests.map((one) => one.failures)
    const failed = failures.flatMap((lines, client) => lines.slice(this.seen[client] ?? 0))
    this.seen = failures.map((lines) => lines.length)
    const leaked = all.arrived - this.arrived
    const flooded = all.sent > this.sent
    this.tally.sent += all.sent - this.sent
    this.tally.leaked += leaked
    this.tally.fetched += all.fetched - this.fetched
    this.tally.failed += failed.length
    this.arrived = all.arrived
    this.sent = all.sent
    this.fetched = all.fetched
    return { leaked, failed, flooded }
  }

  /** Requests that began until now are over, so that each failure is that of the step in which it began; 3 s at most. */
  private async decided(): Promise<void> {
    const { traffic } = this.host
    const begun = (await traffic.requests()).map((one) => one.begun)
    for (let waitedMs = 0; waitedMs < 4000; waitedMs += 50) {
      const now = await traffic.requests()
      if (now.every((one, client) => one.decided >= (begun[client] ?? 0))) return
      await sleep(50)
    }
  }
}
