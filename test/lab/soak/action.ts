import type { Random } from './random.ts'
import type { SoakHost } from './host.ts'

/** One thing that happens to a host in a soak. What it does follows from the host's state and the numbers drawn. */
export interface Action {
  readonly name: string
  /** How often it is drawn, compared with the others. */
  readonly weight: number
  /** Why allowed requests may fail until the host has settled; then failures are counted and not judged. */
  readonly cuts?: string
  /** Whether the process whose growth is measured ends: such things come early, so that one process is measured for long. */
  readonly endsDaemon?: boolean
  /** Default: always. */
  possible?(host: SoakHost): boolean
  run(host: SoakHost, random: Random): Promise<void>
}
