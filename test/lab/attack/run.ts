import type { EngineVersion } from '../engines.ts'
import { Lab } from '../lab.ts'
import type { Attack, Played } from './attack.ts'
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
  if (attacks.length === 0) return []
  const outcomes: Outcome[] = []
  let lab = await Lab.start({ name: 'attack', engine: options.engine })
  try {
    for (const attack of attacks) {
      const outcome = await playBoth(lab, attack, options)
      outcomes.push(outcome)
      options.onOutcome?.(outcome)
      if (outcome.impossible || (outcome.control && outcome.guarded)) continue
      // What a play that failed left behind is unknown.
      await lab.stop()
      lab = await Lab.start({ name: 'attack', engine: options.engine })
    }
  } finally {
    await lab.stop()
  }
  return outcomes
}

/** One attack without the guard and with it, on a lab that is there. */
export async function playBoth(
  lab: Lab,
  attack: Attack,
  { engine, seed, quick }: Omit<RunOptions, 'attacks'>,
): Promise<Outcome> {
  if ((await attack.possible?.(lab)) === false)
    return { attack, engine, control: undefined, guarded: undefined, impossible: true, faults: [] }
  const plays: { played?: Played; fault?: string }[] = []
  for (const guarded of [false, true]) {
    plays.push(await play(lab, attack, { attack: attack.name, guarded, seed, quick }))
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
      ...((guarded?.played?.arrived ?? 0) > 0
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
  lab: Lab,
  attack: Attack,
  options: Parameters<typeof Scene.open>[1],
): Promise<{ played?: Played; fault?: string }> {
  const scene = await Scene.open(lab, options)
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
