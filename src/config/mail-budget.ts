import type { Rate } from './model.ts'

/** What `smtp.burst` may be. */
export const MOST_BURST = 10_000

export const RATE_UNIT_MS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

/**
 * How many new connections may come at once. Of 100/hour an operator expects that 100 pass in an hour, so as many as the rate names may come at
 * once unless the config says otherwise.
 */
export const burstOf = ({
  rate,
  burst,
}: {
  readonly rate: Rate
  readonly burst?: number | undefined
}): number => Math.min(burst ?? rate.count, mostCountable(rate))

/**
 * The kernel keeps a budget as time in one number of 64 bits, which overflows somewhere above a day, depending on its clock. Beyond that it
 * refuses the rule, or takes it with another budget.
 */
export const mostCountable = ({ count, per }: Rate): number =>
  Math.min(MOST_BURST, Math.floor((count * RATE_UNIT_MS.day) / RATE_UNIT_MS[per]))
