import { closeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { errorOf, type Libc } from '../../system/libc.ts'
import { encodeAdditions, readAcknowledgement } from './add-message.ts'
import type { Additions } from './render.ts'

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const NETLINK_NETFILTER = 12
const MSG_DONTWAIT = 0x40
const ENOENT = 2
const HASH_FULL = 4352
const ANSWER_BYTES = 65_536
/** The kernel may still answer to a message that failed when the next one is sent. */
const MOST_ANSWERS = 16

/** Sends messages to the kernel, which answers before the call returns. It costs a fifth of what an `ipset` session costs. */
export class Netlink {
  readonly #libc: Libc
  readonly #answer = Buffer.allocUnsafeSlow(ANSWER_BYTES)
  #fd: number | undefined
  #sequence = 0

  constructor(libc: Libc) {
    this.#libc = libc
  }

  /** Returns when the kernel has all of it. @throws when it refused a part; the rest may be in the kernel. */
  add(additions: readonly Additions[]): void {
    this.#fd ??= this.#open()
    for (const { bytes, sequence } of encodeAdditions(
      additions,
      () => (this.#sequence = (this.#sequence + 1) >>> 0),
    )) {
      if (this.#libc.send(this.#fd, bytes, bytes.length, 0) !== bytes.length) throw this.#lost('send')
      const error = this.#acknowledged(this.#fd, sequence)
      if (error !== 0) throw new Error(`writing sets: ${reasonOf(error)}`)
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #open(): number {
    const fd = this.#libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)
    if (fd < 0) throw errorOf(this.#libc, 'opening a socket to netfilter')
    return fd
  }

  #acknowledged(fd: number, sequence: number): number {
    for (let count = 0; count < MOST_ANSWERS; count++) {
      const bytes = this.#libc.recv(fd, this.#answer, ANSWER_BYTES, MSG_DONTWAIT)
      if (bytes <= 0) throw this.#lost('recv')
      const error = readAcknowledgement(this.#answer.subarray(0, bytes), sequence)
      if (error !== undefined) return error
    }
    throw this.#lost('waiting for an acknowledgement')
  }

  /** The next message has a socket of its own. */
  #lost(call: string): Error {
    const error = errorOf(this.#libc, call)
    this.close()
    return new Error(`writing sets: ${error.message}`, { cause: error })
  }
}

function reasonOf(error: number): string {
  if (error === ENOENT) return 'a set is not there'
  if (error === HASH_FULL) return 'a set is full'
  return error < 4096 ? getSystemErrorName(-error) : `the kernel refused them (ipset error ${error})`
}
