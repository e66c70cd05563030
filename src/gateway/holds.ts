/** Called once, with whether the kernel had it in time. Must not throw. */
type End = (isDone: boolean) => void

/** Answers that wait for the kernel, each for a bounded time. Those that are written together have one timer together. */
export class Holds {
  #last: { readonly done: Promise<void>; readonly ends: End[] } | undefined

  wait(done: Promise<void>, ms: number, end: End): void {
    if (this.#last?.done === done) {
      this.#last.ends.push(end)
      return
    }
    const ends = [end]
    this.#last = { done, ends }
    // Whoever comes later for the same has as much time from then on.
    queueMicrotask(() => {
      if (this.#last?.ends === ends) this.#last = undefined
    })
    const finish = (isDone: boolean): void => {
      clearTimeout(timer)
      for (const one of ends.splice(0)) one(isDone)
    }
    const timer = setTimeout(finish, ms, false)
    done.then(
      () => finish(true),
      () => finish(false),
    )
  }
}
