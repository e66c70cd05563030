import type { Address } from '../net/types.ts'
import type { Grant, NameTable } from '../policy/name-table.ts'
import type { Asker } from './model.ts'
import type { Query } from './query.ts'

/** @param joined whether the answer may share a packet with others on its way through the kernel */
export type Respond = (message: Buffer, joined: boolean) => void

/** A message as it came to a socket. */
export interface Arrival {
  readonly message: Buffer
  readonly from: string
  readonly isUdp: boolean
  readonly respond: Respond
  /** Monotonic ms. */
  readonly startedMs: number
}

/** Under which entries a container may ask for a name. */
export interface NameRights {
  readonly grants: readonly Grant[]
  /** The name is in no list: the answer to an earlier question led to it. */
  readonly isLearned: boolean
  /** The lists that were asked. */
  readonly names: NameTable
}

/** One question of a container that is known, on its way to its answer. */
export interface Request extends NameRights {
  readonly query: Query
  readonly asker: Asker
  readonly source: Address
  readonly isUdp: boolean
  /** Monotonic ms. */
  readonly startedMs: number
  readonly respond: Respond
}
