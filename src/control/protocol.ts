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
export interface AllowAnswer extends Aftermath {
  readonly temporary: readonly { readonly entry: string; readonly untilMs: number }[]
}

/** What whoever changes something is told of it. */
export interface Aftermath {
  /** What does not work now, in sentences. */
  readonly notWorking?: readonly string[]
  /** Why a restart would not find what was changed, in a sentence. */
  readonly unsaved?: string
}

/** Body of `reload`: how long it may take until it is confirmed; absent: it need not be. */
export const reloadRequest = z.strictObject({ confirmMs: z.int().positive().optional() })
export type ReloadRequest = z.output<typeof reloadRequest>

/** Answer of `confirm`: false when nothing was on trial. */
export interface ConfirmAnswer extends Aftermath {
  readonly confirmed: boolean
}

/** Answer of `reload`. `refused`: the file is bad and the policy is the one before; `failed`: it is good and the kernel did not take it. */
export interface ReloadAnswer extends Aftermath {
  readonly outcome: 'applied' | 'unchanged' | 'refused' | 'failed'
  readonly problems: readonly Problem[]
  /** What is another than before, a line each. */
  readonly changes?: readonly string[]
  /** Why the kernel did not take it. */
  readonly detail?: string
  /** Until when it has to be confirmed, epoch ms. */
  readonly confirmUntilMs?: number
}

/** Body of `plan`: the file to be planned for. */
export const planRequest = z.strictObject({ config: z.string().min(1) })

/** Answer of `plan`: a line a change; `changes` is absent when the file is refused. */
export interface PlanAnswer {
  readonly problems: readonly Problem[]
  readonly changes?: readonly string[]
}

/** Body of `held`: whose addresses, answered as `HeldAddress[]`. */
export const heldRequest = z.strictObject({ name: z.string() })

/** Body of `belongings`: which names have this address or had it lately, answered as `Belonging[]`. */
export const belongingsRequest = z.strictObject({ address: z.string() })

/** Body of `answers`: would the DNS gateway answer this source for the name, and open that port? No source: whoever is no known container. */
export const answersRequest = z.strictObject({
  name: z.string(),
  source: z.string().optional(),
  protocol: z.string(),
  port: z.number().optional(),
})

/** Answer of `answers`; null: there is no gateway. */
export type AnswersAnswer = {
  readonly answered: boolean
  /** What allows it; undefined: nothing that names it does. */
  readonly by: { readonly policy: string; readonly as: string; readonly opensPort: boolean } | undefined
} | null

/** Body of `verified`: how a proof by packets ended, and on which networks. */
export const verifiedRequest = z.strictObject({
  passed: z.boolean(),
  atMs: z.number(),
  networks: z.array(z.strictObject({ network: z.string(), problem: z.string().optional() })).default([]),
})
