import type { EngineVersion } from '../engines.ts'
import type { Attack, Played } from './attack.ts'
import { type AttackedHost, BootedHost, PlainHost } from './host.ts'
import { Scene } from './scene.ts'

/** One attack on one engine: how it went without the guard and with it. */
export interface Outcome {
  readonly attack: Attack
  readonly engine: EngineVersion
  readonly control: Played | undefined
  readonly guarded: Played | undefined
  /** This kernel lacks what it uses. */
  readonly impossible: boolean
  /** Empty when it works without the guard, and nothing arrives with it. */
  readonly faults: readonly string[]
}

export interface RunOptions {
  readonly engine: EngineVersion
  readonly attacks: readonly Attack[]
  readonly seed: number
  readonly quick: boolean
  /** Told of each attack when both its plays are over. */
  readonly onOutcome?: (outcome: Outcome) => void
}

export const playableOn = (engine: EngineVersion, attacks: readonly Attack[]): readonly Attack[] =>
  attacks.filter(({ engines }) => engines === undefined || engines.includes(engine))

/** Every attack without the guard and with it. Never rejects for an attack. */
export async function playAll(options: RunOptions): Promise<readonly Outcome[]> {
  const attacks = playableOn(options.engine, options.attacks)
  return [
    ...(await playOn(
      PlainHost.start,
      attacks.filter(({ onSystemd }) => !onSystemd),
      options,
    )),
    ...(await playOn(
      BootedHost.start,
      attacks.filter(({ onSystemd }) => onSystemd),
      options,
    )),
  ]
}

async function playOn(
  start: (engine: EngineVersion) => Promise<AttackedHost>,
  attacks: readonly Attack[],
  options: RunOptions,
): Promise<readonly Outcome[]> {
  if (attacks.length === 0) return []
  const outcomes: Outcome[] = []
  let host = await start(options.engine)
  try {
    for (const attack of attacks) {
      const outcome = await playBoth(host, attack, options)
      outcomes.push(outcome)
      options.onOutcome?.(outcome)
      if (outcome.impossible || (outcome.control && outcome.guarded)) continue
      // What a play that failed left behind is unknown.
      await host.lab.stop()
      host = await start(options.engine)
    }
  } finally {
    await host.lab.stop()
  }
  return outcomes
}

/** One attack without the guard and with it, on a host that is there. */
export async function playBoth(
  host: AttackedHost,
  attack: Attack,
  { engine, seed, quick }: Omit<RunOptions, 'attacks'>,
): Promise<Outcome> {
  if ((await attack.possible?.(host.lab)) === false)
    return { attack, engine, control: undefined, guarded: undefined, impossible: true, faults: [] }
  const plays: { played?: Played; fault?: string }[] = []
  for (const guarded of [false, true]) {
    plays.push(await play(host, attack, { attack: attack.name, guarded, seed, quick }))
  }
  const [control, guarded] = plays
  const failures = plays.flatMap(({ fault }) => (fault === undefined ? [] : [fault]))
  return {
    attack,
    engine,
    control: control?.played,
    guarded: guarded?.played,
    impossible: false,
    faults: [
      ...failures,
      ...(control?.played?.arrived === 0
        ? ['it does not work without the guard either: it shows nothing']
        : []),
      ...(attack.remains === undefined && (guarded?.played?.arrived ?? 0) > 0
        ? [
            [
              `${guarded?.played?.arrived} arrived: ${attack.shows}`,
              ...(guarded?.played?.details ?? []),
            ].join('; '),
          ]
        : []),
    ],
  }
}

async function play(
  host: AttackedHost,
  attack: Attack,
  options: Parameters<typeof Scene.open>[1],
): Promise<{ played?: Played; fault?: string }> {
  const scene = await Scene.open(host, options)
  try {
    return { played: await attack.play(scene) }
  } catch (error) {
    return { fault: `${options.guarded ? 'with' : 'without'} the guard: ${textOf(error)}` }
  } finally {
    await scene.close()
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${textOf(error.cause)}`
}
