import { libcOrWhyNot, type Libc } from '../../system/libc.ts'
import { Netlink } from './netlink.ts'
import { renderAdditions, type Additions } from './render.ts'
import { IpsetSession } from './session.ts'

/** Brings addresses into sets while somebody waits for them. */
export class SetWriter {
  readonly #session = new IpsetSession()
  readonly #libc: () => Libc | Error
  #netlink: Netlink | undefined

  /** @param libc loaded when first needed: most daemons never bring an address this way */
  constructor(libc: () => Libc | Error = libcOrWhyNot) {
    this.#libc = libc
  }

  /** Resolves when the kernel has all of it. Rejects when it refused something of it: what, is not known. */
  async write(additions: readonly Additions[]): Promise<void> {
    if (this.#addByNetlink(additions)) return
    await this.#session.write(renderAdditions(additions))
  }

  /** Ahead of the first write, which might have to wait for a process. */
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
