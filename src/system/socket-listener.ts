import { closeSync } from 'node:fs'
import { endianness } from 'node:os'
import { libcOrWhyNot, type Libc } from './libc.ts'

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_PEERCRED = 17
/** `struct ucred`: three numbers of four bytes, the process first. */
const UCRED_BYTES = 12
/** `sun_path`, with the zero that ends it. */
const MOST_PATH_BYTES = 108

/**
 * The process that listens on a unix socket, as the kernel recorded it when it began to listen, so no other process can pretend to be it. Undefined where
 * no process listens, the process is in a PID namespace that we do not see, or the native part is missing. Does not wait.
 */
export function listenerOf(path: string, libc: Libc | Error = libcOrWhyNot()): number | undefined {
  const name = Buffer.from(`${path}\0`)
  if (libc instanceof Error || name.length > MOST_PATH_BYTES || endianness() !== 'LE') return undefined
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) return undefined
  try {
    const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), name])
    if (libc.connect(fd, address, address.length) < 0) return undefined
    const credentials = Buffer.alloc(UCRED_BYTES)
    const length = Buffer.from([UCRED_BYTES, 0, 0, 0])
    if (libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) < 0) return undefined
    const pid = credentials.readInt32LE(0)
    return pid > 0 ? pid : undefined
  } finally {
    closeSync(fd)
  }
}
