import type { ProofFinding } from './model.ts'

/** How a proof ended on one network. */
export interface NetworkResult {
  /** {@link WHOLE_HOST}: what is wrong with the host, where no network was tried. */
  readonly network: string
  /** The first thing that is wrong, in words that stay the same as long as it is. Undefined: it is proven. */
  readonly problem?: string | undefined
}

/** No network bears this name. */
export const WHOLE_HOST = ''

export const BACKSTOP_MISSING = 'the backstop is missing'

/** `skipped`: nothing is wrong, and no packet was tried, so nothing is proven either. */
export type ProofOutcome = 'proven' | 'failed' | 'skipped'

export function outcomeOf(findings: readonly ProofFinding[]): ProofOutcome {
  if (findings.some(({ passed }) => !passed)) return 'failed'
  // That a guard is in its place was read and not tried.
  const isTried = findings.some(({ network, skipped }) => network !== WHOLE_HOST && !skipped)
  return isTried ? 'proven' : 'skipped'
}

/**
 * Findings by network. A problem of the whole host counts on each network, and alone where no network was tried. Where everything was skipped
 * nothing is proven.
 */
export function resultsOf(findings: readonly ProofFinding[]): NetworkResult[] {
  const general = findings.find(({ network, passed }) => network === WHOLE_HOST && !passed)?.problem
  const results = new Map<string, string | undefined>()
  for (const { network, problem, skipped } of findings)
    if (network !== WHOLE_HOST && !skipped) results.set(network, results.get(network) ?? problem ?? general)
  if (results.size === 0 && general !== undefined) results.set(WHOLE_HOST, general)
  return [...results].map(([network, problem]) => ({ network, problem }))
}

/**
 * The results of the last of several proofs. A failure counts only if the network failed in each of them: networks come and go between two proofs, and
 * the rules of a new one are in the kernel a moment later.
 */
export const lastingResults = (proofs: readonly (readonly NetworkResult[])[]): readonly NetworkResult[] =>
  (proofs.at(-1) ?? []).filter(
    ({ network, problem }) =>
      problem === undefined ||
      proofs.every((results) => results.some((one) => one.network === network && one.problem !== undefined)),
  )
