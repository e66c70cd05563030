import type { Address, Hostname } from '../net/types.ts'
import type { GatewayConfig, Rate } from '../config/model.ts'
import type { NameTable } from '../policy/name-table.ts'

/** Who sends from an address. */
export interface Asker {
  /** For people: the container's name, or what is known instead. Hostile text. */
  readonly name: string
  /** Whose lists hold for it. */
  readonly policies: readonly string[]
  /** It may reach any host of the internet, or send mail to any: so it may ask for any name. */
  readonly anyName: boolean
  /** Its sockets are those of this host's kernel, which takes messages apart that were joined on the way to it. */
  readonly sharesKernel: boolean
}

/** Is it still to be told whose an address is? `unknown`: nobody is known to have it; `changing`: somebody else has it from the next answering on. */
export type AskerState = 'settled' | 'unknown' | 'changing'

/** What the gateway answers by: replaced whole when the policy, or who is who, changes. */
export interface AnswerPolicy {
  readonly config: GatewayConfig & { readonly ratePerContainer: Rate }
  readonly names: NameTable
  /** Undefined: nobody who may ask. */
  readonly askerOf: (source: Address) => Asker | undefined
  /** Whose questions are not denied at once. */
  readonly askerState: (source: Address) => AskerState
  /** How long such a question may wait. */
  readonly askerWaitMs: number
}

export interface GivenAddress {
  readonly address: Address
  readonly ttlMs: number
}

/** Where addresses go before an answer that names them leaves. */
export interface Admission {
  /**
   * Books addresses under the names and patterns that grant them. `refused` are those that no name may lead to, and those for which there is no room;
   * `isFull`: there was room for none. `done` is undefined when the kernel holds all others already for long enough; it rejects when they could not be
   * brought there.
   * @param asker who is told of them, and has a share of the room
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
 * allowed; `withheld`: the kernel did not hold its addresses in time; `crowded`: the
 * name has no room for them that others were not promised; `failed`: no upstream answered; `limited`: too many questions of one
 * container; `malformed`: no question.
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

/** One question, told to whoever counts and logs. */
export interface QueryReport {
  readonly outcome: Outcome
  /** That decided, or whose it would have been. */
  readonly policy: string
  readonly type: string
  /** Undefined: not a name of ordinary labels. */
  readonly name: string | undefined
  readonly asker: string
  readonly source: string
  readonly durationMs: number
  /** It waited for the kernel. */
  readonly waitedForKernel: boolean
}
