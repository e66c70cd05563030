import { sanitise } from '../observe/sanitise.ts'
import type { LastProof } from '../proof/places.ts'
import { WHOLE_HOST, type NetworkResult } from '../proof/results.ts'

interface Known extends LastProof {
  readonly problem: string | undefined
}

/** How the last proof ended on each network. */
export class Proofs {
  readonly #known = new Map<string, Known>()
  #everPassed = false

  record(results: readonly NetworkResult[], atMs: number): void {
    // A problem of the whole host shows on its networks, or is over.
    if (results.length > 0) this.#known.delete(WHOLE_HOST)
    for (const { network, problem } of results)
      this.#known.set(network, { atMs, passed: problem === undefined, problem })
    this.#everPassed ||= results.some(({ problem }) => problem === undefined)
  }

  /** Did one pass since the start, and is nothing wrong now? The network on which it passed may be gone. */
  get hold(): boolean {
    return this.#everPassed && this.problem === undefined
  }

  /** Networks that are gone are forgotten; what is wrong with the whole host stays until a proof says otherwise. */
  retain(networks: ReadonlySet<string>): void {
    for (const network of this.#known.keys())
      if (network !== WHOLE_HOST && !networks.has(network)) this.#known.delete(network)
  }

  forget(): void {
    this.#known.clear()
  }

  get last(): ReadonlyMap<string, LastProof> {
    return this.#known
  }

  get rows(): { network: string; passed: boolean }[] {
    return [...this.#known].map(([network, { passed }]) => ({ network, passed }))
  }

  /** A sentence that stays the same as long as the same problems exist on the same networks; undefined: there are none. */
  get problem(): string | undefined {
    const networks = new Map<string, string[]>()
    for (const [network, { problem }] of this.#known)
      if (problem !== undefined) networks.set(problem, [...(networks.get(problem) ?? []), nameOf(network)])
    if (networks.size === 0) return undefined
    const parts = [...networks].map(([problem, names]) => `${problem} on ${list(names.toSorted())}`)
    return `not proven: ${parts.toSorted().join('; ')}: \`embargod verify\` shows what was tried, \`embargod rules\` what stands`
  }
}

const nameOf = (network: string): string => (network === WHOLE_HOST ? 'this host' : sanitise(network))

const SHOWN = 3

const list = (names: readonly string[]): string =>
  names.length > SHOWN
    ? `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`
    : names.join(', ')
