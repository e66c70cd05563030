import { sanitise } from '../observe/sanitise.ts'
import type { LastProof } from '../proof/places.ts'
import type { NetworkResult } from '../proof/results.ts'

interface Known extends LastProof {
  readonly problem: string | undefined
}

/** How the last proof ended on each network. */
export class Proofs {
  readonly #known = new Map<string, Known>()
  #everPassed = false

  book(results: readonly NetworkResult[], atMs: number): void {
    for (const { network, problem } of results)
      this.#known.set(network, { atMs, passed: problem === undefined, problem })
    this.#everPassed ||= results.some(({ problem }) => problem === undefined)
  }

  /** Did one pass since the start, and is nothing wrong now? The network on which it passed may be gone. */
  get hold(): boolean {
    return this.#everPassed && this.problem === undefined
  }

  /** Networks that are gone are forgotten. */
  retain(networks: ReadonlySet<string>): void {
    for (const network of this.#known.keys()) if (!networks.has(network)) this.#known.delete(network)
  }

  get last(): ReadonlyMap<string, LastProof> {
    return this.#known
  }

  get rows(): { network: string; passed: boolean }[] {
    return [...this.#known].map(([network, { passed }]) => ({ network, passed }))
  }

  /** A sentence that stays the same as long as the same is wrong on the same networks. Undefined: nothing is. */
  get problem(): string | undefined {
    const networks = new Map<string, string[]>()
    for (const [network, { problem }] of this.#known)
      if (problem !== undefined) networks.set(problem, [...(networks.get(problem) ?? []), sanitise(network)])
    if (networks.size === 0) return undefined
    const parts = [...networks].map(([problem, names]) => `${problem} on ${list(names.toSorted())}`)
    return `not proven: ${parts.toSorted().join('; ')}`
  }
}

const SHOWN = 3

const list = (names: readonly string[]): string =>
  names.length > SHOWN
    ? `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`
    : names.join(', ')
