import * as z from 'zod'
import { MOST_CLASSES, type SavedClasses } from '../policy/class-numbers.ts'
import { countersSnapshot } from '../reconcile/counters.ts'
import { cacheSnapshot } from '../gateway/cache-snapshot.ts'
import type { StateFormat } from './state-store.ts'

/** The files of the state directory, each with its shape and version. */

/** The texts of the config that was accepted last. They are read again, by today's rules, when the config file is refused. */
export const acceptedConfig = {
  version: 1,
  schema: z.strictObject({
    file: z.string(),
    sources: z.array(z.strictObject({ file: z.string(), text: z.string() })),
  }),
} satisfies StateFormat<unknown>
export type AcceptedConfig = z.output<typeof acceptedConfig.schema>

/** The config that was put on trial last and is not confirmed, as a hash of its texts. */
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

/** The generation in the marks of live connections. */
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

/** Classes of rights with their numbers, which are in the marks of live connections. */
export const savedClasses: StateFormat<SavedClasses> = {
  version: 1,
  schema: z.strictObject({
    last: z.int().min(0).max(MOST_CLASSES),
    classes: z.array(numbered.transform((one) => ({ smtp: undefined, ...one }))),
  }),
}

export const savedCounters = { version: 1, schema: countersSnapshot } satisfies StateFormat<unknown>

/** Addresses of names. The address store checks the shape itself. */
export const savedAddresses: StateFormat<unknown> = { version: 1, schema: z.unknown() }

/** Answers of the DNS gateway's upstreams. */
export const savedDnsCache = { version: 1, schema: cacheSnapshot } satisfies StateFormat<unknown>

/** Break-glass entries, as they were typed. */
export const savedTemporary = {
  version: 1,
  schema: z.array(z.strictObject({ entry: z.string(), untilMs: z.number() })),
} satisfies StateFormat<unknown>
