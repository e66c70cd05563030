import { libcOrWhyNot, type Libc } from '../../system/libc.ts'
import { Netlink } from './netlink.ts'
import { renderAdditions, type Additions } from './render.ts'
import { IpsetSession } from './session.ts'

/** Writes the elements of the fast path: by netlink where the kernel takes it, else by a session of `ipset`. */
export class SetWriter {
  readonly #session = new IpsetSession()
  readonly #libc: () => Libc | Error
  #netlink: Netlink | undefined

  /** @param libc loaded when first needed: most daemons never use the fast path */
  constructor(libc: () => Libc | Error = libcOrWhyNot) {
    this.#libc = libc
  }

  /** Resolves when the kernel has all of it. Rejects when it refused a part; it is not known which. */
  async write(additions: readonly Additions[]): Promise<void> {
    if (this.#addByNetlink(additions)) return
    await this.#session.write(renderAdditions(additions))
  }

  /** Prepares the first write, which might have to wait for a process. */
  async open(): Promise<void> {
    if (this.#libc() instanceof Error) await this.#session.open()
  }

  async close(): Promise<void> {
    this.#netlink?.close()
    await this.#session.close()
  }

  /** False: it did not. `ipset` has other ways with an old kernel, and words for what is wrong. */
  #addByNetlink(additions: readonly Additions[]): boolean {
    const libc = this.#libc()
    if (libc instanceof Error) return false
    this.#netlink ??= new Netlink(libc)
    try {
      this.#netlink.add(additions)
      return true
    } catch {
      return false
    }
  }
}
