import * as z from 'zod'
import { savedName } from './saved-name.ts'

/** A snapshot that cannot be used; the message says why, in words for an operator. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

const schema = z.strictObject({ version: z.literal(1), names: z.array(savedName) })

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
