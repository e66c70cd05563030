import { answersIn, isTruncated } from '../dns/header.ts'
import type { Address } from '../net/types.ts'
import { encodeReply } from './encode.ts'
import { KernelWaits } from './kernel-waits.ts'
import type { Admission, GivenAddress } from './model.ts'
import type { Reply } from './reply.ts'
import type { Request } from './request.ts'
import type { Resolved } from './resolve.ts'

/** What became of a reply whose addresses the kernel has to hold. */
export type Admitted =
  | {
      readonly kind: 'admitted'
      readonly reply: Reply
      /** Addresses that the name may not have were left out. */
      readonly isReduced: boolean
      /** It waited for the kernel. */
      readonly hasWaited: boolean
    }
  /** The name has no room for its addresses. */
  | { readonly kind: 'crowded' }
  /** The kernel did not have its addresses in time. */
  | { readonly kind: 'withheld' }

const CROWDED: Admitted = { kind: 'crowded' }
const WITHHELD: Admitted = { kind: 'withheld' }
const NONE: ReadonlySet<Address> = new Set()

/** Has the kernel hold the addresses of a reply before that leaves. */
export class Admitter {
  readonly #admission: Admission
  readonly #onFault: (error: unknown) => void
  readonly #waits = new KernelWaits()

  constructor(admission: Admission, onFault: (error: unknown) => void) {
    this.#admission = admission
    this.#onFault = onFault
  }

  /** `done` is called once, now or within `maxWaitMs`. */
  admit(
    { grants, asker }: Request,
    { reply, ttlOf }: Resolved,
    maxWaitMs: number,
    done: (admitted: Admitted) => void,
  ): void {
    const given = addressesOf(reply, ttlOf)
    const as = grants.map((grant) => grant.as)
    const admission = given.length > 0 ? this.#admission.admit(as, given, asker.name) : undefined
    if (admission?.isFull === true) return done(CROWDED)
    const refused = admission?.refused ?? NONE
    const isReduced = refused.size > 0
    const admittedReply = isReduced ? without(refused, reply) : reply
    const kernel = admission?.done
    if (!kernel) return done({ kind: 'admitted', reply: admittedReply, isReduced, hasWaited: false })
    this.#waits.wait(kernel, maxWaitMs, (isDone) => {
      try {
        done(isDone ? { kind: 'admitted', reply: admittedReply, isReduced, hasWaited: true } : WITHHELD)
      } catch (error) {
        this.#onFault(error)
      }
    })
  }
}

/** As many fit any datagram but the smallest. */
const FEW_ADDRESSES = 20

/**
 * As much of a reply as this answer has room for. What does not fit into a datagram need not be held by the kernel: the client that wants it comes by TCP.
 */
export function limitToAnswer({ query, isUdp }: Request, resolved: Resolved): Resolved {
  const { reply, ttlOf } = resolved
  if (!isUdp || countAddresses(reply) <= FEW_ADDRESSES) return resolved
  const message = encodeReply(query, reply, { isUdp, ttlOf })
  if (!isTruncated(message)) return resolved
  const answers = reply.answers.slice(0, answersIn(message))
  return { ...resolved, reply: { ...reply, answers, authority: [], isCut: true } }
}

/** What is left is no longer what was signed. */
const without = (refused: ReadonlySet<Address>, reply: Reply): Reply => ({
  ...reply,
  answers: reply.answers.filter(({ addresses }) => !addresses.some((one) => refused.has(one))),
  authenticated: false,
})

function countAddresses({ answers }: Reply): number {
  let count = 0
  for (const { addresses } of answers) count += addresses.length
  return count
}

function addressesOf({ answers }: Reply, ttlOf: (ttlSeconds: number) => number): GivenAddress[] {
  const given: GivenAddress[] = []
  for (const { addresses, ttlSeconds } of answers)
    for (const address of addresses) given.push({ address, ttlMs: ttlOf(ttlSeconds) * 1000 })
  return given
}
