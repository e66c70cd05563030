import type { Config } from '../config/model.ts'
import { rightsOf, type Rights } from './rights.ts'

/** Rights with the number by which packets and connections bear them; 0 stands for sources that nobody knows. */
export interface RightsClass extends Rights {
  /** 1 to {@link MOST_CLASSES}. */
  readonly id: number
}

/** As many as the bits of the mark tell apart, but for the highest number, which is `CLASS_OF_CONNECTION`. */
export const MOST_CLASSES = 510
/** From here on rights that nobody has are not kept ready. */
const SCARCE = 256

/** What outlives the process. */
export interface SavedClasses {
  /** The number that was given out last; 0: none. */
  readonly last: number
  readonly classes: readonly Omit<RightsClass, 'key'>[]
}

type PolicyConfigs = Config['policies']

/** The numbers of rights: the same ones for as long as somebody has them, since connections bear them too. */
export class ClassNumbers {
  readonly #numbered = new Map<string, RightsClass>()
  /** Those that have chains. */
  readonly #ready = new Set<string>()
  /** Nobody has them any more, though packets may bear them until the bindings are written. */
  readonly #leaving = new Set<string>()
  #last: number
  #policies: PolicyConfigs | undefined

  /**
   * @param saved what an earlier process left
   * @param policies those in force, if they are what it left these numbers under: then its chains stay ready
   */
  constructor(saved: SavedClasses = { last: 0, classes: [] }, policies?: PolicyConfigs) {
    for (const { id, ...rights } of saved.classes) this.#number(id, rightsOf(rights))
    this.#last = saved.last
    this.#policies = policies
    if (policies) for (const key of this.#numbered.keys()) this.#ready.add(key)
  }

  snapshot(): SavedClasses {
    const classes = Array.from(this.#numbered.values(), ({ id, policies, metadata, smtp, denyWith }) => ({
      id,
      policies,
      metadata,
      smtp,
      denyWith,
    }))
    return { last: this.#last, classes }
  }

  /** What is given out by the one is not given out by the other. */
  copy(): ClassNumbers {
    const copy = new ClassNumbers(this.snapshot())
    copy.#policies = this.#policies
    for (const key of this.#ready) copy.#ready.add(key)
    for (const key of this.#leaving) copy.#leaving.add(key)
    return copy
  }

  /**
   * Rights that somebody has, or had under these policies: their chains stand ready for the next container that has them.
   * In order of their numbers.
   */
  get classes(): RightsClass[] {
    return [...this.#numbered.values()]
      .filter(({ key }) => this.#ready.has(key))
      .toSorted((one, other) => one.id - other.id)
  }

  /** Are there some that go with the next look at who has what? */
  get areLeaving(): boolean {
    return this.#leaving.size > 0
  }

  /** Undefined: all numbers are taken. */
  of(rights: Rights): number | undefined {
    const { id } = this.#numbered.get(rights.key) ?? this.#numberAnew(rights) ?? {}
    if (id !== undefined) this.#ready.add(rights.key)
    return id
  }

  #numberAnew(rights: Rights): RightsClass | undefined {
    const taken = new Set(Array.from(this.#numbered.values(), ({ id }) => id))
    // Not the lowest free one: a connection of who had it last may still bear it.
    for (let step = 1; step <= MOST_CLASSES; step++) {
      const id = ((this.#last + step - 1) % MOST_CLASSES) + 1
      if (taken.has(id)) continue
      this.#last = id
      return this.#number(id, rights)
    }
    return undefined
  }

  #number(id: number, rights: Rights): RightsClass {
    const numbered = { id, ...rights }
    this.#numbered.set(rights.key, numbered)
    return numbered
  }

  /**
   * Forgets what nobody has any more, when the policies are others than before, or numbers get scarce. Chains stay until the next time: rules are
   * written before the bindings that name them.
   */
  tidy(policies: PolicyConfigs, keys: ReadonlySet<string>): void {
    for (const key of this.#leaving) if (!keys.has(key)) this.#forget(key)
    this.#leaving.clear()
    if (policies === this.#policies && this.#numbered.size <= SCARCE) return
    this.#policies = policies
    for (const key of this.#numbered.keys()) {
      if (keys.has(key)) continue
      if (this.#ready.has(key)) this.#leaving.add(key)
      else this.#forget(key)
    }
  }

  #forget(key: string): void {
    this.#numbered.delete(key)
    this.#ready.delete(key)
  }
}
