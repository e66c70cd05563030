import * as z from 'zod'
import type { Problem } from '../config/model.ts'

/** Body of `allow`: break glass. `entry` is text as in the config's `allow` list. */
export const allowRequest = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('add'), entry: z.string().min(1).max(1000), forMs: z.int().positive() }),
  z.strictObject({ action: z.literal('list') }),
  z.strictObject({ action: z.literal('revoke'), entry: z.string().min(1).max(1000) }),
])
export type AllowRequest = z.output<typeof allowRequest>

/** Answer of `allow`: what is temporarily allowed now. */
export interface AllowAnswer {
  readonly temporary: readonly { readonly entry: string; readonly untilMs: number }[]
}

/** Answer of `reload`. `refused`: the file is bad and the policy is the one before; `failed`: it is good and the kernel did not take it. */
export interface ReloadAnswer {
  readonly outcome: 'applied' | 'unchanged' | 'refused' | 'failed'
  readonly problems: readonly Problem[]
  /** Why the kernel did not take it. */
  readonly detail?: string
}
