import type { Desired } from './desired.ts'

/** What the chains of rights are made of. */
export type StandingRights = readonly unknown[]

export const standingRights = ({
  config,
  policies,
  before,
  generation,
  surroundings,
}: Desired): StandingRights => [
  config,
  policies,
  before,
  generation,
  JSON.stringify([surroundings.rights?.unknown, surroundings.rights?.classes]),
]

/** Do chains that were written for the one do for the other? Networks may differ, of which every chain says the same. */
export const areSameRights = (some: StandingRights | undefined, others: StandingRights): boolean =>
  some !== undefined && others.every((one, index) => one === some[index])
