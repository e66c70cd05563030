/** Called once, with whether the kernel had it in time. Must not throw. */
type WaitEnd = (isDone: boolean) => void

/** Answers that wait until the kernel has their addresses, each for a bounded time. Those whose addresses are written together share a timer. */
export class KernelWaits {
  #last: { readonly done: Promise<void>; readonly ends: WaitEnd[] } | undefined

  wait(done: Promise<void>, ms: number, end: WaitEnd): void {
    if (this.#last?.done === done) {
      this.#last.ends.push(end)
      return
    }
    const ends = [end]
    this.#last = { done, ends }
    // An answer that comes in a later turn for the same writing has as much time from then on.
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
