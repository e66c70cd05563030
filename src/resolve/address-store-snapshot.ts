import * as z from 'zod'
import type { Hostname } from '../net/types.ts'

/** A snapshot that cannot be used; the message says why, in words for an operator. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

const time = z.number().nonnegative()

/** Columns, not objects: 100,000 addresses make some 5 MB. The i-th of `seen` and of `expires` belong to the i-th of `held`. */
const savedName = z
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

const schema = z.strictObject({ version: z.literal(1), names: z.array(savedName) })

export type SavedName = z.infer<typeof savedName>
export type AddressStoreSnapshot = z.infer<typeof schema>

/** Throws a {@link SnapshotError} for anything that is no snapshot of this version. */
export function readSnapshot(value: unknown): AddressStoreSnapshot {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const place = issue && issue.path.length > 0 ? ` at ${issue.path.join('.')}` : ''
  throw new SnapshotError(
    `the saved addresses cannot be read${place}: ${issue?.message ?? 'unknown fault'}`,
    {
      cause: result.error,
    },
  )
}
