import type { EngineVersion } from '../engines.ts'
import type { Lab } from '../lab.ts'
import type { Scene } from './scene.ts'

/** Where an attacker sits. */
export type Seat =
  | 'container'
  | 'container on the host’s network'
  | 'local user'
  | 'name server'
  | 'accomplice on the internet'

export interface Attack {
  /** `reserved-echo`: as the command line chooses it. */
  readonly name: string
  readonly seat: Seat
  /** For the table: what is sent. */
  readonly words: string
  /** What an arrival would mean. */
  readonly shows: string
  /** Where it means something; default: on every engine. */
  readonly engines?: readonly EngineVersion[]
  /** False where this kernel or host lacks what the attack uses; default: true everywhere. */
  possible?(lab: Lab): Promise<boolean>
  /** It is played on a host with a systemd and an engine of its own, whose control groups are all of version 2. */
  readonly onSystemd?: true
  /** Why zero is out of reach, and what the operator is told; then arrivals are counted and not judged. */
  readonly remains?: string
  /** Part of the short battery, which the tests play. */
  readonly quick?: true
  /** Plays it on a host where nothing of another play is left. It calls `scene.guard` itself, where the guard is to stand. */
  play(scene: Scene): Promise<Played>
}

export interface Played {
  readonly sent: number
  /** What must not arrive and did, counted where it would arrive. */
  readonly arrived: number
  /** Which it was, in words. */
  readonly details?: readonly string[]
}
