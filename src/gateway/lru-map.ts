/**
 * A map of bounded weight that forgets the least recently used half at a time. It consists of a young and an old map. The usual way, which moves a key to the end of
 * one map with each use, gets slower each time.
 */
export class LruMap<Value> {
  #young = new Map<string, Value>()
  #youngWeight = 0
  #old = new Map<string, Value>()

  /** @param weightOf default: 1 for each */
  constructor(
    private readonly most: number,
    private readonly weightOf: (value: Value) => number = () => 1,
  ) {}

  /** A key that was set again without being read counts twice until the old map goes. */
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

  /** The old map first. A key may come twice, and then its later value holds. */
  *entries(): Iterable<readonly [string, Value]> {
    yield* this.#old
    yield* this.#young
  }
}
