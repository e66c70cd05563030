/** The names that events gave to containers, so that no answer of the engine to an earlier question brings an older name back. */
export class Renames {
  #count = 0
  readonly #latest = new Map<string, { readonly name: string; readonly number: number }>()

  /** How many there were so far: taken when a question is asked, it tells what is newer than the answer. */
  get count(): number {
    return this.#count
  }

  add(container: string, name: string): void {
    this.#count += 1
    this.#latest.set(container, { name, number: this.#count })
  }

  forget(container: string): void {
    this.#latest.delete(container)
  }

  /** The name that the container got after the first `count` renames; undefined: it got none since. */
  nameSince(container: string, count: number): string | undefined {
    const latest = this.#latest.get(container)
    return latest && latest.number > count ? latest.name : undefined
  }
}
