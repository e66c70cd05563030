import type { MarkLayout } from '../config/marks.ts'
import { bearingsOf, nextGeneration, type Bearing, type Generation } from './generation.ts'

/** The generation in force, and the next one while its rules are being written. */
export class GenerationChange {
  #current: Generation
  /** It has begun, and its rules were perhaps written. Then its number is in use, and those rules judged the connections that bear it. */
  #begun: Generation | undefined
  readonly #keep: (generation: Generation) => Promise<void>

  /** @param keep saves a generation to disk */
  constructor(current: Generation, keep: (generation: Generation) => Promise<void>) {
    this.#current = current
    this.#keep = keep
  }

  get current(): Generation {
    return this.#current
  }

  /** The generation that these rights and this layout of marks need. */
  nextFor(digest: string, marks: MarkLayout): Generation {
    return nextGeneration(this.#begun ?? this.#current, digest, marks)
  }

  /** Did an earlier pass begin it, and fail? */
  hasBegun(generation: Generation): boolean {
    return generation === this.#begun
  }

  /**
   * What live connections may bear, the oldest first.
   * @param layout where an earlier version did not save it
   */
  bearings(layout: MarkLayout): Bearing[] {
    return [this.#current, ...(this.#begun ? [this.#begun] : [])].flatMap((one) => bearingsOf(one, layout))
  }

  /**
   * Saves a generation whose rules are about to be written, without its digest. Should the process end before they are, the next one begins
   * another generation and judges all flows again.
   */
  async announce(next: Generation, layout: MarkLayout): Promise<void> {
    await this.#keep({ ...next, digest: '', former: this.bearings(layout).at(0) })
  }

  /** What connections may bear that the generation in force admitted, the oldest first. */
  bearingsOfCurrent(layout: MarkLayout): Bearing[] {
    return bearingsOf(this.#current, layout)
  }

  begin(next: Generation): void {
    this.#begun = next
  }

  /** Its rules are in force. */
  settle(next: Generation): void {
    this.#current = next
    this.#begun = undefined
  }
}
