import { existsSync } from 'node:fs'
import { endianness } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import type { LibraryHandle } from 'koffi'

/** Calls of the C library that Node does not offer. All of them return -1 on failure, and `errno` then says why. */
export interface Libc {
  socket(family: number, type: number, protocol: number): number
  bind(fd: number, address: Buffer, bytes: number): number
  connect(fd: number, address: Buffer, bytes: number): number
  setsockopt(fd: number, level: number, option: number, value: Buffer, bytes: number): number
  /** @param bytes the four bytes of a number, in and out */
  getsockopt(fd: number, level: number, option: number, value: Buffer, bytes: Buffer): number
  /** For commands that take a number. */
  fcntl(fd: number, command: number, value: number): number
  getpid(): number
  send(fd: number, message: Buffer, bytes: number, flags: number): number
  /** @returns the number of bytes that were read, at most `bytes` */
  recv(fd: number, memory: Buffer, bytes: number, flags: number): number
  /** @param headers the address of as many `struct mmsghdr` */
  recvmmsg(fd: number, headers: number, count: number, flags: number, timeout: null): number
  /** As {@link recvmmsg}. */
  sendmmsg(fd: number, headers: number, count: number, flags: number): number
  errno(): number
  /** The address of a buffer's memory. It has to be a buffer that does not move: one of more than a few bytes. */
  addressOf(memory: ArrayBufferView): bigint
}

/** The part of koffi's native module that is used here. */
interface Native {
  load(path: string | null): LibraryHandle
  errno(): number
  address(memory: ArrayBufferView): bigint
}

/** On other machines the kernel's structures have another layout. */
const MACHINES: ReadonlySet<string> = new Set(['x64', 'arm64'])

const FILE = 'koffi.node'
const here = dirname(fileURLToPath(import.meta.url))

/** Where the module may be: beside the program, where the package has it, and in a checkout. */
const placesOf = (machine: string): readonly string[] => [
  join(here, FILE),
  join('/usr/lib/embargod', FILE),
  join(here, '../../node_modules/@koromix', `koffi-linux-${machine}`, `linux_${machine}`, FILE),
]

let loaded: Libc | Error | undefined

/** An error where this machine or this installation does not have the native part. Everything that uses it then does without, or has a slower way. */
export function libcOrWhyNot(): Libc | Error {
  try {
    loaded ??= load()
  } catch (error) {
    loaded = error instanceof Error ? error : new Error(String(error))
  }
  return loaded
}

/** The error of the last call, in the shape of Node's own errors. */
export function errorOf(libc: Libc, call: string): NodeJS.ErrnoException & { readonly errno: number } {
  const errno = libc.errno()
  // The call returned less than it should, without an errno.
  const code = errno > 0 ? getSystemErrorName(-errno) : 'UNKNOWN'
  return Object.assign(new Error(`${call}: ${code}`), { errno, code, syscall: call })
}

function load(): Libc {
  const { arch } = process
  if (!MACHINES.has(arch) || endianness() !== 'LE') throw new Error(`not made for ${arch}`)
  const path = placesOf(arch).find((place) => existsSync(place))
  if (path === undefined) throw new Error(`${FILE} is not installed`)
  const module = { exports: {} as Native }
  process.dlopen(module, path)
  const { exports: native } = module
  // Opens the C library that Node itself uses.
  const library = native.load(null)
  return {
    socket: library.func('int socket(int, int, int)'),
    bind: library.func('int bind(int, void *, uint32_t)'),
    connect: library.func('int connect(int, void *, uint32_t)'),
    setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    fcntl: library.func('int fcntl(int, int, int)'),
    getpid: library.func('int getpid()'),
    send: library.func('long send(int, void *, size_t, int)'),
    recv: library.func('long recv(int, void *, size_t, int)'),
    recvmmsg: library.func('int recvmmsg(int, uintptr_t, unsigned int, int, void *)'),
    sendmmsg: library.func('int sendmmsg(int, uintptr_t, unsigned int, int)'),
    errno: () => native.errno(),
    addressOf: (memory) => native.address(memory),
  }
}
