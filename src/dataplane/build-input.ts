import type { Config } from '../config/model.ts'
import type { Address } from '../net/types.ts'
import type { Assignment } from '../policy/classes.ts'
import type { Policies } from '../policy/model.ts'
import type { OpenLink } from './model.ts'

export interface BuildInput {
  readonly config: Pick<Config, 'denyWith' | 'dns' | 'smtp' | 'never' | 'metadata' | 'log' | 'resolver'> & {
    readonly guard: Pick<Config['guard'], 'mark' | 'marks' | 'hostServices' | 'hostNetwork' | 'inbound'>
  }
  readonly policies: Policies
  /** Bridges beyond the names that are always guarded, and those left alone. */
  readonly interfaces: Interfaces
  /** Who has which rights; undefined: all have the same. */
  readonly rights: Pick<Assignment, 'unknown' | 'classes'> | undefined
  /** The class of all that comes from a bridge, where containers are told apart by nothing better; undefined: they are held to their ports. */
  readonly classOfBridge: ReadonlyMap<string, number> | undefined
  /** Are packets of ports without rights led to the daemon? */
  readonly holds?: boolean
  /** Whom containers may ask for names. */
  readonly resolvers: readonly Address[]
  /** 1 to 255: connections admitted under another one are judged again. */
  readonly generation: number
  /** Elements that a set has to hold; absent: few. */
  readonly setSizes: Pick<ReadonlyMap<string, number>, 'get'>
}

export interface Interfaces {
  readonly guarded: readonly string[]
  /** On top of guarded bridges, such as their VLANs. */
  readonly stacked: readonly string[]
  readonly open: readonly (OpenLink & { readonly why: string })[]
}
