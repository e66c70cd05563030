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

/** What an operator is told after a change. */
export interface Aftermath {
  /** What does not work now, in sentences. */
  readonly notWorking?: readonly string[]
  /** Why a restart would not find what was changed, in a sentence. */
  readonly unsaved?: string
}

/** Body of `reload`: how long the new config is on trial; absent: it is accepted at once. */
export const reloadRequest = z.strictObject({ confirmMs: z.int().positive().optional() })
export type ReloadRequest = z.output<typeof reloadRequest>

/** Answer of `confirm`: false when nothing was on trial. */
export interface ConfirmAnswer extends Aftermath {
  readonly confirmed: boolean
}

/** Answer of `reload`. `refused`: the file is bad, and the policy before it stays. `failed`: the file is good, but the kernel did not accept the rules. */
export interface ReloadAnswer extends Aftermath {
  readonly outcome: 'applied' | 'unchanged' | 'refused' | 'failed'
  readonly problems: readonly Problem[]
  /** What changed, a line each. */
  readonly changes?: readonly string[]
  /** Why the kernel did not accept the rules. */
  readonly detail?: string
  /** Until when it has to be confirmed, epoch ms. */
  readonly confirmUntilMs?: number
}

/** Body of `plan`: the config file whose changes are asked for. */
export const planRequest = z.strictObject({ config: z.string().min(1) })

/** Answer of `plan`: a line a change; `changes` is absent when the file is refused. */
export interface PlanAnswer {
  readonly problems: readonly Problem[]
  readonly changes?: readonly string[]
}

/** Body of `held`: the name whose live addresses are asked for, answered as `LiveAddress[]`. */
export const liveAddressesRequest = z.strictObject({ name: z.string() })

/** Body of `belongings`: the address whose names are asked for, those that had it lately included, answered as `AddressOwner[]`. */
export const addressOwnersRequest = z.strictObject({ address: z.string() })

/** Body of `answers`: would the DNS gateway answer this source for the name, and open that port? No source: a source that is not a known container. */
export const gatewayVerdictRequest = z.strictObject({
  name: z.string(),
  source: z.string().optional(),
  protocol: z.string(),
  port: z.number().optional(),
})

/** Answer of `answers`; null: there is no gateway. */
export type GatewayVerdict = {
  readonly answered: boolean
  /** The entry that allows the name; undefined: none does. */
  readonly by: { readonly policy: string; readonly as: string; readonly opensPort: boolean } | undefined
} | null

/** Body of `verified`: how a proof by packets ended, and on which networks. */
export const verifiedRequest = z.strictObject({
  passed: z.boolean(),
  atMs: z.number(),
  networks: z.array(z.strictObject({ network: z.string(), problem: z.string().optional() })).default([]),
})
