import * as z from 'zod'
import type { Address, Hostname } from '../net/types.ts'
import type { AddressPool } from './address-pool.ts'
import type { AddressLimits } from './model.ts'
import type { Past } from './past-addresses.ts'

const time = z.number().nonnegative()

/** Columns, not objects: 100,000 addresses make some 5 MB. The i-th of `seen` and of `expires` belong to the i-th of `held`. */
export const savedName = z
  .strictObject({
    /** Only compared with configured names, which have been parsed. */
    name: z.custom<Hostname>((value) => typeof value === 'string'),
    lastSuccessMs: time.optional(),
    held: z.array(z.string()),
    /** Epoch ms. */
    seen: z.array(time),
    /** Epoch ms. */
    expires: z.array(time),
    /** Aged-out addresses, oldest first. */
    past: z.array(z.string()),
    /** When each of those was seen last and when it left, epoch ms; empty in what an earlier version wrote. */
    pastSeen: z.array(time).default([]),
    pastLeft: z.array(time).default([]),
  })
  .refine(({ held, seen, expires }) => held.length === seen.length && held.length === expires.length, {
    message: 'held, seen and expires are of different lengths',
  })

export type SavedName = z.infer<typeof savedName>
export type ParseAddress = (text: string) => Address | undefined

export function savedNameOf(name: Hostname, pool: AddressPool, lastSuccessMs: number | undefined): SavedName {
  const live = pool.values()
  const past = pool.past.values()
  return {
    name,
    ...(lastSuccessMs === undefined ? {} : { lastSuccessMs }),
    held: live.map(({ address }) => address),
    seen: live.map(({ seenAtMs }) => seenAtMs),
    expires: live.map(({ expiresAtMs }) => expiresAtMs),
    past: [...pool.past],
    pastSeen: past.map(({ seenAtMs }) => seenAtMs),
    pastLeft: past.map(({ leftAtMs }) => leftAtMs),
  }
}

interface Restored {
  readonly past: readonly (Past & { readonly address: Address })[]
  readonly live: readonly {
    readonly address: Address
    readonly seenAtMs: number
    readonly expiresAtMs: number
  }[]
}

/** Times from the future (the clock was wrong then or is now) are pulled back to `nowMs`. What is no address is left out. */
export function readSavedName(
  saved: SavedName,
  nowMs: number,
  { refreshMaxMs, promiseMaxMs, retainMs }: AddressLimits,
  parseAddress: ParseAddress,
): Restored {
  const past = saved.past.flatMap((text, index) => {
    const address = parseAddress(text)
    const seenAtMs = Math.min(saved.pastSeen[index] ?? 0, nowMs)
    const leftAtMs = Math.min(saved.pastLeft[index] ?? 0, nowMs)
    return address === undefined ? [] : [{ address, seenAtMs, leftAtMs }]
  })
  const live = saved.held.flatMap((text, index) => {
    const address = parseAddress(text)
    const seenAtMs = Math.min(saved.seen[index] ?? 0, nowMs)
    const latestMs = seenAtMs + Math.max(refreshMaxMs, promiseMaxMs) + retainMs
    const expiresAtMs = Math.min(saved.expires[index] ?? 0, latestMs)
    return address === undefined ? [] : [{ address, seenAtMs, expiresAtMs }]
  })
  return { past, live }
}
