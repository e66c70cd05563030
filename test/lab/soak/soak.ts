import { setTimeout as sleep } from 'node:timers/promises'
import { ACTIONS } from './actions.ts'
import type { Action } from './action.ts'
import { type Trend, median, trendsOf } from './flat.ts'
import { SoakHost } from './host.ts'
import { Random } from './random.ts'
import { ours, type Sample, sample } from './sample.ts'
import { type Tally, Watch } from './watch.ts'

export interface SoakOptions {
  readonly seed: number
  readonly minutes: number
  /** Told of each step, with the names of what happened in it. */
  readonly onStep?: (step: number, names: readonly string[], faults: readonly string[]) => void
  readonly onSample?: (sample: Sample, soFar: Tally) => void
}

export interface Soaked {
  readonly seconds: number
  readonly steps: number
  /** How often each action was done. */
  readonly actions: ReadonlyMap<string, number>
  readonly tally: Tally
  readonly settledMs: readonly number[]
  readonly series: number
  /** Forbidden packets that arrived before the guard stood, and after it was taken away. */
  readonly unguarded: { readonly before: number; readonly after: number }
  readonly samples: readonly Sample[]
  /** Undefined when there are too few samples to tell. */
  readonly trends: readonly Trend[] | undefined
  /** Empty when all was well. */
  readonly faults: readonly string[]
}

/** More of them say nothing new. */
const MOST_FAULTS = 50
/** Of the time, in which the daemon may be replaced; what is judged begins with the second quarter. */
const DAEMONS_PART = 0.2
const SAMPLES = { everyS: 60, atLeast: 12 }

/** Lets things happen to a host until the time is over. Never rejects for what happened: that is a fault. */
export async function soak(options: SoakOptions): Promise<Soaked> {
  const host = await SoakHost.start()
  try {
    const before = await unguarded(host)
    await host.startDaemon()
    await host.whole()
    const run = await steps(host, options)
    const after = await afterwards(host, run.faults)
    for (const [when, count] of Object.entries({ before, after }))
      if (count === 0) run.faults.push(`no packet arrived ${when} the guard: the flood proves nothing`)
    const trends = trendsOf(run.samples)
    for (const { what, early, late, flat } of trends ?? [])
      if (!flat) run.faults.push(`${what} grew from ${early.toFixed(1)} to ${late.toFixed(1)}`)
    return { ...run, settledMs: host.settledMs, unguarded: { before, after }, trends }
  } finally {
    await host.stop()
  }
}

async function steps(host: SoakHost, { seed, minutes, onStep, onSample }: SoakOptions) {
  const watch = await Watch.start(host)
  const standing = await ours(host)
  const faults: string[] = [...(await watch.faults([]))]
  const counts = new Map<string, number>()
  const samples: Sample[] = []
  const fromMs = performance.now()
  const elapsedS = () => (performance.now() - fromMs) / 1000
  const everyS = Math.min(SAMPLES.everyS, (minutes * 60) / SAMPLES.atLeast)
  let sampleAtS = everyS
  let step = 0
  while (elapsedS() < minutes * 60 && faults.length < MOST_FAULTS) {
    step += 1
    const random = new Random(seed, step)
    const early = elapsedS() < minutes * 60 * DAEMONS_PART
    const { actions, found } = await stepOf(host, watch, random, early)
    const names = actions.map(({ name }) => name)
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
    faults.push(...found.map((fault) => `step ${step}, ${names.join(', ')}: ${fault}`))
    onStep?.(step, names, found)
    if (elapsedS() >= sampleAtS) {
      sampleAtS = (Math.floor(elapsedS() / everyS) + 1) * everyS
      const taken = await sample(host, elapsedS(), median(watch.takeLags())).catch(textOf)
      if (typeof taken === 'string') faults.push(`sample after step ${step}: ${taken}`)
      else {
        samples.push(taken)
        onSample?.(taken, watch.tally)
      }
    }
    await sleep(200 + random.below(800))
  }
  faults.push(...(await atTheEnd(host, watch, standing).catch((error: unknown) => [textOf(error)])))
  return {
    seconds: elapsedS(),
    steps: step,
    actions: counts,
    tally: watch.tally,
    series: watch.counters.series,
    samples,
    faults,
  }
}

/** One to three things one after the other, and then a look whether all is as it has to be. */
async function stepOf(host: SoakHost, watch: Watch, random: Random, early: boolean) {
  const actions: Action[] = []
  try {
    for (let left = 1 + random.below(3); left > 0; left -= 1) {
      const possible = ACTIONS.filter((one) => (early || !one.endsDaemon) && (one.possible?.(host) ?? true))
      const action = random.weighted(possible)
      actions.push(action)
      await action.run(host, random)
    }
    await host.whole()
    return { actions, found: await watch.faults(actions) }
  } catch (error) {
    // A disturbance may have been left half done: what follows shows whether the host recovers.
    const looked = await watch.faults(actions).catch((cause: unknown) => [textOf(cause)])
    return { actions, found: [textOf(error), ...looked] }
  }
}

/** Everything that came goes, and the config is the first one again: then as much is ours in the kernel as at first. */
async function atTheEnd(
  host: SoakHost,
  watch: Watch,
  standing: Awaited<ReturnType<typeof ours>>,
): Promise<readonly string[]> {
  for (const container of host.containers.keys()) await container.stop()
  for (const name of host.networks.keys()) await host.lab.docker.getNetwork(name).remove()
  host.entries.clear()
  await host.daemon.hup(host.config)
  // The signal is on its way.
  await sleep(1000)
  await host.whole()
  const left = await ours(host)
  const same = left.chains === standing.chains && left.sets === standing.sets
  const leftovers = `${left.chains} chains and ${left.sets} sets at the end, ${standing.chains} and ${standing.sets} before`
  return [...(same ? [] : [leftovers]), ...(await watch.faults([]))]
}

/** Forbidden packets that arrive in a second or more, until both families have come or ten seconds are over. */
async function unguarded(host: SoakHost): Promise<number> {
  const before = await host.traffic.arrived()
  for (let tries = 0; tries < 10; tries += 1) {
    await sleep(1000)
    const now = await host.traffic.arrived()
    const gained = [...now].filter(([address, count]) => count > (before.get(address) ?? 0))
    const families = new Set(gained.map(([address]) => address.includes(':')))
    if (families.size === 2)
      return gained.reduce((sum, [address, count]) => sum + count - (before.get(address) ?? 0), 0)
  }
  return 0
}

/** What arrives when the guard is taken away; whether it could be goes into the faults. */
async function afterwards(host: SoakHost, faults: string[]): Promise<number> {
  await host.daemon.term()
  const { code, stderr } = await host.lab.cli(['cleanup', '--yes'])
  if (code !== 0) faults.push(`cleanup exited with ${code}: ${stderr}`)
  const { chains, sets } = await ours(host)
  if (chains + sets > 0) faults.push(`cleanup left ${chains} chains and ${sets} sets`)
  return unguarded(host)
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const text = error.message.slice(0, 3000)
  return error.cause === undefined ? text : `${text}: ${textOf(error.cause)}`
}
