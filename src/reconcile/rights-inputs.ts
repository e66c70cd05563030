import type { Desired } from './desired.ts'

/** Everything from which the chains of rights are built. */
export type RightsInputs = readonly unknown[]

export const rightsInputs = ({ config, policies, before, generation, hostFacts }: Desired): RightsInputs => [
  config,
  policies,
  before,
  generation,
  JSON.stringify([hostFacts.rights?.unknown, hostFacts.rights?.classes]),
]

/** Are chains that were written for the one right for the other? Networks may differ, since every chain treats them alike. */
export const areSameRights = (some: RightsInputs | undefined, others: RightsInputs): boolean =>
  some !== undefined && others.every((one, index) => one === some[index])
