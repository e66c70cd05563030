import type { EngineVersion } from '../engines.ts'
import type { Disturbance } from './disturbance.ts'
import { MeterHost } from './host.ts'
import { faultsOf, read, type Reading } from './meter.ts'

export interface Measured {
  readonly disturbance: Disturbance
  readonly engine: EngineVersion
  /** Undefined when the disturbance could not be done. */
  readonly guarded?: Reading
  readonly unguarded?: Reading
  /** Empty when nothing leaked, nothing failed, and without guards both families leaked. */
  readonly faults: readonly string[]
}

export interface RunOptions {
  readonly engine: EngineVersion
  readonly disturbances: readonly Disturbance[]
  /** Forbidden packets a second with guards and without. */
  readonly rate: { readonly guarded: number; readonly unguarded: number }
  readonly scale: number
  /** Told of each reading as it is taken. */
  readonly onReading?: (disturbance: Disturbance, guarded: boolean, reading: Reading) => void
}

/** Every disturbance with guards, then every one without, each on a host of its own kind. Never rejects for a disturbance. */
export async function measure(options: RunOptions): Promise<readonly Measured[]> {
  const guarded = await readings(options, true)
  const unguarded = await readings(options, false)
  return options.disturbances.map((disturbance) => {
    const [one, other] = [guarded.get(disturbance), unguarded.get(disturbance)]
    return {
      disturbance,
      engine: options.engine,
      ...(one?.reading ? { guarded: one.reading } : {}),
      ...(other?.reading ? { unguarded: other.reading } : {}),
      faults: [...(one?.faults ?? []), ...(other?.faults ?? [])],
    }
  })
}

interface Outcome {
  readonly reading?: Reading
  readonly faults: readonly string[]
}

async function readings(options: RunOptions, guarded: boolean): Promise<ReadonlyMap<Disturbance, Outcome>> {
  const { engine, scale, disturbances, onReading } = options
  const rate = guarded ? options.rate.guarded : options.rate.unguarded
  const outcomes = new Map<Disturbance, Outcome>()
  let host = await MeterHost.start({ engine, rate, scale, guarded })
  try {
    for (const disturbance of disturbances) {
      try {
        const reading = await read(host, disturbance)
        outcomes.set(disturbance, { reading, faults: faultsOf(disturbance, reading, guarded) })
        onReading?.(disturbance, guarded, reading)
      } catch (error) {
        outcomes.set(disturbance, { faults: [`${guarded ? 'guarded' : 'unguarded'}: ${textOf(error)}`] })
        // What it left behind is unknown.
        await host.stop()
        host = await MeterHost.start({ engine, rate, scale, guarded })
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
