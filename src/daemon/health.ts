/** By these something may get out that should not, or it is not known that nothing does: they are told ahead of all others. */
const WORST = [
  'kernel',
  'stalled',
  'fight',
  'guard',
  'engine-backend',
  'rootless',
  'proof',
  'backstop',
  'host-network',
]

/** What is wrong at present, by what it concerns. Empty: healthy. */
export class Health {
  readonly #problems = new Map<string, string>()
  readonly #onChange: (key: string, problem: string | undefined) => void

  /** Told of transitions only. */
  constructor(onChange: (key: string, problem: string | undefined) => void) {
    this.#onChange = onChange
  }

  bad(key: string, problem: string): void {
    if (this.#problems.get(key) === problem) return
    this.#problems.set(key, problem)
    this.#onChange(key, problem)
  }

  good(key: string): void {
    if (this.#problems.delete(key)) this.#onChange(key, undefined)
  }

  has(key: string): boolean {
    return this.#problems.has(key)
  }

  /** The worst first, the others as they came up. */
  get problems(): readonly string[] {
    const rankOf = (key: string): number => (WORST.includes(key) ? WORST.indexOf(key) : WORST.length)
    return [...this.#problems]
      .toSorted(([one], [other]) => rankOf(one) - rankOf(other))
      .map(([, problem]) => problem)
  }
}
