type Undo = () => void | Promise<void>

/** What the steps of a start have to take back at its end, the last step first. */
export class UndoStack {
  readonly #undos: Undo[] = []
  #isUnwound = false

  /** A step that is done only after the end is taken back at once. */
  add(undo: Undo): void {
    if (this.#isUnwound) void undo()
    else this.#undos.push(undo)
  }

  /** @throws the first error, after all of them were tried */
  async unwind(): Promise<void> {
    const errors: unknown[] = []
    for (let undo = this.#undos.pop(); undo; undo = this.#undos.pop()) {
      try {
        await undo()
      } catch (error) {
        errors.push(error)
      }
    }
    this.#isUnwound = true
    if (errors.length > 0) throw errors[0]
  }
}
