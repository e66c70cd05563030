import type { Grant } from '../policy/name-table.ts'

interface Learned {
  readonly grants: readonly Grant[]
  readonly untilMs: number
}

const MOST_SOURCES = 4_096
const MOST_NAMES = 256

/**
 * Names that an answer led a container to (the hosts behind SRV, MX, SVCB). That container alone may ask for them, as long as the answer holds.
 */
export class LearnedNames {
  readonly #bySource = new Map<string, Map<string, Learned>>()

  learn(source: string, name: string, grants: readonly Grant[], untilMs: number): void {
    let names = this.#bySource.get(source)
    if (!names) {
      dropOldest(this.#bySource, MOST_SOURCES)
      this.#bySource.set(source, (names = new Map()))
    }
    names.delete(name)
    dropOldest(names, MOST_NAMES)
    names.set(name, { grants, untilMs })
  }

  match(source: string, name: string, nowMs: number): readonly Grant[] {
    const found = this.#bySource.get(source)?.get(name)
    return found && nowMs < found.untilMs ? found.grants : []
  }

  /** After a change of policy, or of who has which address. */
  clear(): void {
    this.#bySource.clear()
  }
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  if (map.size < most) return
  for (const key of map.keys()) {
    map.delete(key)
    return
  }
}
