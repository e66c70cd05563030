import type { EngineVersion } from '../engines.ts'
import type { Disturbance } from './disturbance.ts'
import { type Guard, MeterHost } from './host.ts'
import { faultsOf, read, type Reading } from './meter.ts'

export interface Measured {
  readonly disturbance: Disturbance
  readonly engine: EngineVersion
  /** What was counted under each guard; it lacks the script's where that cannot be compared, and what could not be done. */
  readonly readings: Readonly<Partial<Record<Guard, Reading>>>
  /** Empty when nothing leaked and nothing failed under our guard, and both families leaked under nobody's. */
  readonly faults: readonly string[]
}

export interface RunOptions {
  readonly engine: EngineVersion
  readonly disturbances: readonly Disturbance[]
  /** Forbidden packets a second. */
  readonly rates: Readonly<Record<Guard, number>>
  readonly scale: number
  /** Told of each reading as it is taken. */
  readonly onReading?: (disturbance: Disturbance, guard: Guard, reading: Reading) => void
  /** Told of what could not be done, or never became whole. */
  readonly onFailure?: (disturbance: Disturbance, guard: Guard, words: string) => void
}

/** Every disturbance under each guard, on a host of its own for each. Never rejects for a disturbance. */
export async function measure(options: RunOptions): Promise<readonly Measured[]> {
  const outcomes: Outcome[] = []
  for (const guard of GUARDS) outcomes.push(...(await under(guard, options)))
  return options.disturbances.map((disturbance) => {
    const own = outcomes.filter((outcome) => outcome.disturbance === disturbance)
    return {
      disturbance,
      engine: options.engine,
      readings: Object.fromEntries(own.map(({ guard, reading }) => [guard, reading])),
      faults: own.flatMap(({ faults }) => faults),
    }
  })
}

const GUARDS: readonly Guard[] = ['embargod', 'nobody', 'script']

interface Outcome {
  readonly disturbance: Disturbance
  readonly guard: Guard
  readonly reading: Reading | undefined
  readonly faults: readonly string[]
}

async function under(guard: Guard, options: RunOptions): Promise<readonly Outcome[]> {
  const { engine, scale, rates, onReading, onFailure } = options
  const disturbances = options.disturbances.filter(({ ofOurs }) => guard !== 'script' || ofOurs !== true)
  if (disturbances.length === 0) return []
  const outcomes: Outcome[] = []
  let host = await MeterHost.start({ engine, rate: rates[guard], scale, guard })
  try {
    for (const disturbance of disturbances) {
      try {
        const reading = await read(host, disturbance)
        onReading?.(disturbance, guard, reading)
        outcomes.push({ disturbance, guard, reading, faults: faultsOf(disturbance, reading, guard) })
      } catch (error) {
        const words = textOf(error)
        onFailure?.(disturbance, guard, words)
        outcomes.push({
          disturbance,
          guard,
          reading: undefined,
          faults: [`under ${guard}: ${words}`],
        })
        // What it left behind is unknown.
        await host.stop()
        host = await MeterHost.start({ engine, rate: rates[guard], scale, guard })
      }
    }
  } finally {
    await host.stop()
  }
  return outcomes
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${textOf(error.cause)}`
}
