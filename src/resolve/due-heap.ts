/** A binary heap of names by due time in which a name's time can be changed in place: it never holds a name twice. */
export class DueHeap<Name> {
  readonly #heap: { readonly name: Name; dueMs: number }[] = []
  readonly #position = new Map<Name, number>()

  get size(): number {
    return this.#heap.length
  }

  /** A copy, so that the heap may change during a walk over it. */
  names(): Name[] {
    return [...this.#position.keys()]
  }

  /** Due time of the first, undefined when empty. */
  firstDueMs(): number | undefined {
    return this.#heap[0]?.dueMs
  }

  dueMs(name: Name): number | undefined {
    const at = this.#position.get(name)
    return at === undefined ? undefined : this.#heap[at]?.dueMs
  }

  /** Adds the name, or moves it to another time. */
  put(name: Name, dueMs: number): void {
    const at = this.#position.get(name)
    const item = at === undefined ? undefined : this.#heap[at]
    if (at === undefined || !item) {
      this.#heap.push({ name, dueMs })
      this.#position.set(name, this.#heap.length - 1)
      this.#up(this.#heap.length - 1)
      return
    }
    item.dueMs = dueMs
    this.#down(this.#up(at))
  }

  delete(name: Name): void {
    const at = this.#position.get(name)
    if (at === undefined) return
    this.#swap(at, this.#heap.length - 1)
    this.#heap.pop()
    this.#position.delete(name)
    if (at < this.#heap.length) this.#down(this.#up(at))
  }

  /** Takes out the first. */
  pop(): Name | undefined {
    const first = this.#heap[0]
    if (first) this.delete(first.name)
    return first?.name
  }

  #up(from: number): number {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#due(parent) <= this.#due(at)) break
      this.#swap(at, parent)
      at = parent
    }
    return at
  }

  #down(from: number): void {
    let at = from
    for (;;) {
      const left = 2 * at + 1
      const least = this.#due(left + 1) < this.#due(left) ? left + 1 : left
      if (this.#due(least) >= this.#due(at)) return
      this.#swap(at, least)
      at = least
    }
  }

  #due(at: number): number {
    return this.#heap[at]?.dueMs ?? Number.POSITIVE_INFINITY
  }

  #swap(one: number, other: number): void {
    const a = this.#heap[one]
    const b = this.#heap[other]
    if (!a || !b || one === other) return
    this.#heap[one] = b
    this.#heap[other] = a
    this.#position.set(b.name, one)
    this.#position.set(a.name, other)
  }
}
