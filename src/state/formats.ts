import * as z from 'zod'
import { MOST_CLASSES, type SavedClasses } from '../policy/class-numbers.ts'
import { countersSnapshot } from '../reconcile/counters.ts'
import { cacheSnapshot } from '../gateway/cache-snapshot.ts'
import type { StateFormat } from './state-store.ts'

/** Files of the state directory: each with its shape and version. */

/** The texts of the last accepted config: read again by today's rules when the file on disk is bad. */
export const acceptedConfig = {
  version: 1,
  schema: z.strictObject({
    file: z.string(),
    sources: z.array(z.strictObject({ file: z.string(), text: z.string() })),
  }),
} satisfies StateFormat<unknown>
export type AcceptedConfig = z.output<typeof acceptedConfig.schema>

/** What was put on trial last and is not confirmed: a hash of its texts; empty: there is none. */
export const unconfirmedConfig = {
  version: 1,
  schema: z.strictObject({ file: z.string(), hash: z.string() }),
} satisfies StateFormat<unknown>

const markLayout = z.strictObject({
  approval: z.number(),
  rights: z.number(),
  generation: z.number(),
  hostNetwork: z.number(),
})

/** The generation that live connections bear. */
export const savedGeneration = {
  version: 1,
  schema: z.strictObject({
    generation: z.int().min(1).max(255),
    digest: z.string(),
    marks: markLayout.optional(),
    former: z.strictObject({ generation: z.int().min(1).max(255), marks: markLayout }).optional(),
  }),
} satisfies StateFormat<unknown>

const smtp = z.strictObject({
  ports: z.array(z.int()),
  rate: z.strictObject({ count: z.int(), per: z.enum(['second', 'minute', 'hour', 'day']) }),
  burst: z.int(),
  per: z.enum(['container', 'host']),
  destinations: z.enum(['allowed', 'any']),
})

const numbered = z.strictObject({
  id: z.int().min(1).max(MOST_CLASSES),
  policies: z.array(z.string()),
  metadata: z.boolean(),
  smtp: smtp.optional(),
  denyWith: z.enum(['drop', 'reject']),
})

/** Rights with their numbers, which live connections bear. */
export const savedClasses: StateFormat<SavedClasses> = {
  version: 1,
  schema: z.strictObject({
    last: z.int().min(0).max(MOST_CLASSES),
    classes: z.array(numbered.transform((one) => ({ smtp: undefined, ...one }))),
  }),
}

export const savedCounters = { version: 1, schema: countersSnapshot } satisfies StateFormat<unknown>

/** Addresses of names. Checked by the address store itself. */
export const savedAddresses: StateFormat<unknown> = { version: 1, schema: z.unknown() }

/** What the DNS gateway was told by its upstreams. */
export const savedDnsCache = { version: 1, schema: cacheSnapshot } satisfies StateFormat<unknown>

/** Break-glass entries, as they were typed. */
export const savedTemporary = {
  version: 1,
  schema: z.array(z.strictObject({ entry: z.string(), untilMs: z.number() })),
} satisfies StateFormat<unknown>
