import * as z from 'zod'

/** Parts of what `nft -j list` prints, as far as we read them. */

/** Of an element of a verdict map. */
export const verdict = z.looseObject({ goto: z.looseObject({ target: z.string() }).optional() })

/** `hook` and `prio` are there where the kernel calls the chain by itself. */
export const chain = z.looseObject({
  name: z.string().optional(),
  hook: z.string().optional(),
  prio: z.number().optional(),
})
