/** How much is measured: `quick` is for trying the bench out, its numbers mean little. */
export interface Scale {
  /** Rounds, in each of which every contestant has one turn. */
  readonly rounds: number
  readonly seconds: number
  readonly networks: number
  readonly idleSeconds: number
  readonly containers: number
  /** Names that one container asks for, one after the other. */
  readonly flood: number
  readonly connections: number
}

export const FULL: Scale = {
  rounds: 15,
  seconds: 2,
  networks: 200,
  idleSeconds: 75,
  containers: 1_000,
  flood: 200_000,
  connections: 1_000,
}
export const QUICK: Scale = {
  rounds: 3,
  seconds: 1,
  networks: 10,
  idleSeconds: 15,
  containers: 50,
  flood: 20_000,
  connections: 100,
}

/** One line of the table. */
export interface Finding {
  readonly what: string
  readonly measured: string
  /** What it ought to reach; absent for what is only told. */
  readonly reach?: string
  readonly met?: boolean
}

/** One question about speed or size, answered on a real engine. */
export interface Figure {
  /** As typed after `npm run bench --`. */
  readonly name: string
  readonly title: string
  /** How it was measured, for readers of the table. */
  readonly method: string
  measure(scale: Scale): Promise<readonly Finding[]>
}
