/**
 * A map of bounded weight that forgets what was used least lately, half of it at a time. In two generations: a map in which one key is moved to the end again
 * and again, as the usual way is, gets slower with each time.
 */
export class Generations<Value> {
  #young = new Map<string, Value>()
  #youngWeight = 0
  #old = new Map<string, Value>()

  /** @param weightOf 1 where all weigh alike */
  constructor(
    private readonly most: number,
    private readonly weightOf: (value: Value) => number = () => 1,
  ) {}

  /** One whose value was set again unseen counts twice until the old generation goes. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** Counts as use. */
  get(key: string): Value | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old === undefined) return undefined
    this.#old.delete(key)
    this.set(key, old)
    return old
  }

  set(key: string, value: Value): void {
    const before = this.#young.get(key)
    if (before !== undefined) this.#youngWeight -= this.weightOf(before)
    this.#youngWeight += this.weightOf(value)
    this.#young.set(key, value)
    if (this.#youngWeight < this.most / 2) return
    this.#old = this.#young
    this.#young = new Map()
    this.#youngWeight = 0
  }

  delete(key: string): void {
    const young = this.#young.get(key)
    if (young !== undefined) this.#youngWeight -= this.weightOf(young)
    this.#young.delete(key)
    this.#old.delete(key)
  }

  /** What was used least lately first, within one generation of two: what comes later holds. */
  *entries(): Iterable<readonly [string, Value]> {
    yield* this.#old
    yield* this.#young
  }
}
