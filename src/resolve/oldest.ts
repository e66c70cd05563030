/**
 * Walks along a map or set in the order in which its values came, for one who takes them out. It goes on where it was: who begins anew each time passes over the
 * places of all those that went before. What it passed by is met again after the last.
 */
export class Oldest<Value> {
  #at: Iterator<Value>

  constructor(private readonly of: { values(): Iterator<Value> }) {
    this.#at = of.values()
  }

  /** Undefined: there is none. */
  next(): Value | undefined {
    const { value, done } = this.#at.next()
    if (!done) return value
    this.#at = this.of.values()
    return this.#at.next().value
  }
}
