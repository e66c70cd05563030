import type { Address, Hostname } from '../net/types.ts'
import type { GatewayConfig, Rate } from '../config/model.ts'
import type { NameTable } from '../policy/name-table.ts'

/** The container, or what else is known, that sends from an address. */
export interface Asker {
  /** For people: the container's name, or what is known instead. Untrusted text. */
  readonly name: string
  /** The ids of its policies. */
  readonly policies: readonly string[]
  /** It may reach any host of the internet, or send mail to any, so it may ask for any name. */
  readonly anyName: boolean
  /** Its sockets are those of this host's kernel, which splits messages again that were joined on the way. */
  readonly sharesKernel: boolean
}

/** Is it settled which container has an address? `unknown`: none is known to have it; `changing`: another one has it, or other rights hold, from the next policy on. */
export type AskerState = 'settled' | 'unknown' | 'changing'

/** The rules by which the gateway answers: replaced whole when the config, the rights or the containers change. */
export interface AnswerPolicy {
  readonly config: GatewayConfig & { readonly ratePerContainer: Rate }
  readonly names: NameTable
  /** Undefined: questions from there are not answered. */
  readonly askerOf: (source: Address) => Asker | undefined
  /** Questions from an address that is not settled are not denied at once. */
  readonly askerState: (source: Address) => AskerState
  /** How long such a question may wait. */
  readonly askerWaitMs: number
}

export interface GivenAddress {
  readonly address: Address
  readonly ttlMs: number
}

/** Has addresses allowed in the kernel before an answer that names them leaves. */
export interface Admission {
  /**
   * Takes in addresses under the names and patterns that grant them. `refused` are those that no name may lead to, and those for which there is no room;
   * `isFull`: there was room for none. `done` is undefined when the kernel holds all others already for long enough; it rejects when the kernel did not take
   * them.
   * @param asker the container that is told of them, which has a share of the room
   */
  admit(
    as: readonly Hostname[],
    addresses: readonly GivenAddress[],
    asker: string,
  ): {
    readonly refused: ReadonlySet<Address>
    readonly isFull?: boolean
    readonly done: Promise<void> | undefined
  }
}

/**
 * `answered`: by an upstream; `cached`: without one; `stale`: from an answer whose time was over, since no upstream answers; `denied`: the name is not
 * allowed; `withheld`: the kernel did not hold its addresses in time; `crowded`: all places that the name has for addresses were promised to other
 * containers; `failed`: no upstream answered; `limited`: too many questions of one container; `malformed`: no question.
 */
export const OUTCOMES = [
  'answered',
  'cached',
  'stale',
  'denied',
  'withheld',
  'crowded',
  'failed',
  'limited',
  'malformed',
] as const
export type Outcome = (typeof OUTCOMES)[number]

/** What became of one question, for metrics and the log. */
export interface QueryReport {
  readonly outcome: Outcome
  /** The policy that allowed it, or those of the asker. */
  readonly policy: string
  readonly type: string
  /** Undefined: the name has labels with other characters than letters, digits, `-` and `_`. */
  readonly name: string | undefined
  readonly asker: string
  readonly source: string
  readonly durationMs: number
  /** It waited for the kernel. */
  readonly waitedForKernel: boolean
}
