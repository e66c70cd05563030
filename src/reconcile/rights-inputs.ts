import type { Desired } from './desired.ts'

/** What the chains of rights are made of. */
export type RightsInputs = readonly unknown[]

export const rightsInputs = ({ config, policies, before, generation, hostFacts }: Desired): RightsInputs => [
  config,
  policies,
  before,
  generation,
  JSON.stringify([hostFacts.rights?.unknown, hostFacts.rights?.classes]),
]

/** Do chains that were written for the one do for the other? Networks may differ, of which every chain says the same. */
export const areSameRights = (some: RightsInputs | undefined, others: RightsInputs): boolean =>
  some !== undefined && others.every((one, index) => one === some[index])
