import type { Daemon, DaemonOptions } from '../embargod.ts'
import type { Lab } from '../lab.ts'

/** Something that happens to a host while its containers flood what is forbidden and fetch what is allowed. */
export interface Disturbance {
  /** `flush-forward`: as the command line chooses it. */
  readonly name: string
  /** For the table: `iptables -F FORWARD`. */
  readonly words: string
  /** Why allowed requests may fail meanwhile, where the disturbance itself cuts them; then they are counted and not judged. */
  readonly cuts?: string
  /** It is done to what only embargod has: a script in DOCKER-USER is not compared with it. */
  readonly ofOurs?: true
  /** Where zero is out of reach: for how long the flood may pass at most. */
  readonly window?: { readonly ms: number }
  /**
   * Disturbs the host, and puts back what it took from others, Docker or an operator, so that the next one finds the host as
   * it was. What is embargod's own it leaves to embargod.
   */
  run(host: DisturbedHost): Promise<void>
}

/** What a disturbance works on. With the guards removed it is the same host, and the same daemon guards nothing on it. */
export interface DisturbedHost {
  readonly lab: Lab
  /** False: a run for comparison, where nothing ever becomes whole. */
  readonly guarded: boolean
  /** How much is done: 1, or less where somebody only tries it out. */
  readonly scale: number
  /** The daemon as it runs now. */
  readonly daemon: Daemon
  /** Starts the daemon again after it was ended, with the config it had unless another is given; returns when it is ready. */
  startDaemon(options?: Partial<DaemonOptions>): Promise<Daemon>
  /**
   * Waits until our rules, sets and backstop stand again as they stood before the disturbance; the longest such wait
   * is reported. Rejects when that takes more than a minute. Returns at once where nothing is guarded.
   */
  whole(): Promise<void>
  /** Lets floods and requests go on. */
  wait(ms: number): Promise<void>
}
