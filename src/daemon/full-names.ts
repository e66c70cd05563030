import type { Hostname } from '../net/types.ts'

/** The problem is over when no answer was withheld for this long. */
const KEPT_MS = 60_000
const MOST_NAMED = 3

/** Names that have no room for the addresses that containers ask for, as a problem for `status`: the answers are withheld. */
export class FullNames {
  readonly #lately = new Map<Hostname, { asker: string; timer: NodeJS.Timeout }>()

  /** @param onState undefined: there is room for all */
  constructor(private readonly onState: (problem: string | undefined) => void) {}

  note(name: Hostname, asker: string): void {
    const known = this.#lately.get(name)
    if (known) {
      known.timer.refresh()
      if (known.asker === asker) return
      known.asker = asker
    } else
      this.#lately.set(name, {
        asker,
        timer: setTimeout(() => {
          this.#lately.delete(name)
          this.onState(this.#problem)
        }, KEPT_MS).unref(),
      })
    this.onState(this.#problem)
  }

  get #problem(): string | undefined {
    if (this.#lately.size === 0) return undefined
    const named = Array.from(this.#lately, ([name, { asker }]) => `${name} (asked by ${asker})`)
    const more = named.length > MOST_NAMED ? ` and ${named.length - MOST_NAMED} more` : ''
    return `containers get no answer where their share of resolver.maxAddressesPerName is used up: ${named.slice(0, MOST_NAMED).join(', ')}${more}`
  }
}
