import type { Finding } from './model.ts'

/** How a proof ended on one network. */
export interface NetworkResult {
  readonly network: string
  /** The first thing that is wrong, in words that stay the same as long as it is. Undefined: it is proven. */
  readonly problem?: string | undefined
}

export const BACKSTOP_MISSING = 'the backstop is missing'

/** Findings by network; what is wrong with the whole host (a finding without a network) is wrong on each. Where all was skipped nothing is proven. */
export function resultsOf(findings: readonly Finding[]): NetworkResult[] {
  const general = findings.find(({ network, passed }) => network === '' && !passed)?.problem
  const results = new Map<string, string | undefined>()
  for (const { network, problem, skipped } of findings)
    if (network !== '' && !skipped) results.set(network, results.get(network) ?? problem ?? general)
  return [...results].map(([network, problem]) => ({ network, problem }))
}

/**
 * How the last of several proofs ended. What failed in it counts where it failed in each of them: networks come and go between two, and one
 * that was made a moment ago is in the kernel a moment later.
 */
export const lastingResults = (proofs: readonly (readonly NetworkResult[])[]): readonly NetworkResult[] =>
  (proofs.at(-1) ?? []).filter(
    ({ network, problem }) =>
      problem === undefined ||
      proofs.every((results) => results.some((one) => one.network === network && one.problem !== undefined)),
  )
