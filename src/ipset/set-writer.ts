import { libcOrWhyNot } from '../system/libc.ts'
import { Netlink } from './netlink.ts'
import { renderAdditions, type Additions } from './render.ts'
import { IpsetSession } from './session.ts'

/** Brings addresses into sets while somebody waits for them. */
export class SetWriter {
  readonly #netlink: Netlink | undefined
  readonly #session = new IpsetSession()

  constructor() {
    const libc = libcOrWhyNot()
    this.#netlink = libc instanceof Error ? undefined : new Netlink(libc)
  }

  /** Resolves when the kernel has all of it. Rejects when it refused something of it: what, is not known. */
  async write(additions: readonly Additions[]): Promise<void> {
    if (this.#netlink) {
      try {
        this.#netlink.add(additions)
        return
      } catch {
        // `ipset` has other ways with an old kernel, and words for what is wrong.
      }
    }
    await this.#session.write(renderAdditions(additions))
  }

  /** Ahead of the first write, which might have to wait for a process. */
  async open(): Promise<void> {
    if (!this.#netlink) await this.#session.open()
  }

  async close(): Promise<void> {
    this.#netlink?.close()
    await this.#session.close()
  }
}
