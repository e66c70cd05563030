import * as z from 'zod'

/** Parts of what `nft -j list` prints, as far as we read them. */

/** The verdict of an element of a verdict map. */
export const verdict = z.looseObject({ goto: z.looseObject({ target: z.string() }).optional() })

/** Only a base chain, which the kernel calls itself, has `hook` and `prio`. */
export const chain = z.looseObject({
  name: z.string().optional(),
  hook: z.string().optional(),
  prio: z.number().optional(),
})
