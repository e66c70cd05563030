/** With these problems a packet may get out, or it is unknown whether one does. They are listed first. */
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

/** The problems that exist now, by what they concern. None: healthy. */
export class Health {
  readonly #problems = new Map<string, string>()
  readonly #onChange: (concern: string, problem: string | undefined, problems: readonly string[]) => void

  /** @param onChange called for each change, with all problems that exist then */
  constructor(
    onChange: (concern: string, problem: string | undefined, problems: readonly string[]) => void = () =>
      undefined,
  ) {
    this.#onChange = onChange
  }

  /** @param problem a sentence; undefined: all is well with it */
  set(concern: string, problem: string | undefined): void {
    if (this.#problems.get(concern) === problem) return
    if (problem === undefined) this.#problems.delete(concern)
    else this.#problems.set(concern, problem)
    this.#onChange(concern, problem, this.problems)
  }

  has(concern: string): boolean {
    return this.#problems.has(concern)
  }

  /** The worst first, the others in the order in which they came up. */
  get problems(): readonly string[] {
    const rankOf = (key: string): number => (WORST.includes(key) ? WORST.indexOf(key) : WORST.length)
    return [...this.#problems]
      .toSorted(([one], [other]) => rankOf(one) - rankOf(other))
      .map(([, problem]) => problem)
  }

  /** Why the kernel is not as desired, as far as a pass has told; undefined: it is. */
  get enforcementFailure(): string | undefined {
    return this.has('kernel') || this.has('stalled') ? this.problems.join('; ') : undefined
  }
}
