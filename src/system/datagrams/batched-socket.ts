import { createSocket, type Socket } from 'node:dgram'
import { closeSync } from 'node:fs'
import { isIP, isIPv6 } from 'node:net'
import { errorOf, type Libc } from '../libc.ts'
import { SLOTS, SOL_UDP, UDP_SEGMENT, type MessageBatch } from './message-batch.ts'
import type { BindOptions, ConnectOptions, DatagramEvents, Datagrams, Peer } from './model.ts'
import { encodeSocketAddress, FAMILY, readSocketAddress } from './socket-address.ts'

/** The C library, and memory for what arrives and what leaves: one of each for all sockets, since each is used within one call. */
export interface Kernel {
  readonly libc: Libc
  readonly arriving: MessageBatch
  readonly leaving: MessageBatch
}

const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const [SOL_SOCKET, SO_REUSEADDR] = [1, 2]
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const [EINTR, EIO, EAGAIN, EINVAL, EMSGSIZE] = [4, 5, 11, 22, 90]
/** Of the way, not of the peer: with one message by itself it works. */
const CANNOT_JOIN: ReadonlySet<number> = new Set([EIO, EINVAL, EMSGSIZE])

/** So many full batches are read in one turn: what else is to be done shall not wait for a flood. */
const BATCHES_A_TURN = 4
/** What the kernel has no room for waits; more than that is lost, as it would be in the kernel. */
const MOST_WAITING = 4_096
const AGAIN_MS = 1
/** More would gain little, and whoever gets the first of them can be at work meanwhile. */
const ENOUGH = 32

/** Less than any link takes, and so many of them less than the kernel takes. */
const LONGEST_JOINED = 512

interface Leaving {
  readonly message: Buffer
  readonly to: Peer | undefined
  /** Of those that may be joined, which are alike where this is; undefined: it goes alone. */
  readonly way: number | undefined
}

/**
 * A socket that takes from the kernel, and gives to it, as many messages at a time as there are: a third of what a message costs one by one. Node watches
 * the socket, and reads the first message of each turn itself.
 */
export class BatchedSocket implements Datagrams {
  readonly #kernel: Kernel
  readonly #fd: number
  readonly #socket: Socket
  readonly #events: DatagramEvents
  /** Undefined: it is not connected. */
  readonly #peer: Peer | undefined
  /** Messages may be joined: the kernel knows how, and did not refuse it yet. */
  #joins: boolean
  #leaving: Leaving[] = []
  #closed = false

  private constructor(
    kernel: Kernel,
    socket: Socket,
    { fd, peer, events }: { fd: number; peer: Peer | undefined; events: DatagramEvents },
  ) {
    this.#kernel = kernel
    this.#fd = fd
    this.#socket = socket
    this.#events = events
    this.#peer = peer
    const none = Buffer.alloc(4)
    // A kernel that does not know it would send what is joined as one datagram.
    this.#joins = kernel.libc.setsockopt(fd, SOL_UDP, UDP_SEGMENT, none, none.length) === 0
    socket.on('error', (error) => events.onError(error))
    socket.on('message', (message, { address, port }) => {
      events.onMessage(message, peer ?? { address, port, encoded: encodedOf(address, port) })
      this.#drain()
    })
  }

  /** @throws when the place is taken. */
  static bind(kernel: Kernel, { type, at, receiveBytes, ...events }: BindOptions): BatchedSocket {
    const isOurs = !('fd' in at)
    const fd = isOurs ? open(kernel.libc, type, (libc, own) => bindTo(libc, own, type, at)) : at.fd
    const socket = watch(kernel.libc, fd, type, isOurs ? receiveBytes : undefined)
    return new BatchedSocket(kernel, socket, { fd, peer: undefined, events })
  }

  /** @throws where there is no way to the host. */
  static connect(kernel: Kernel, { host, port, receiveBytes, ...events }: ConnectOptions): BatchedSocket {
    const type = isIPv6(host) ? 'udp6' : 'udp4'
    const address = encodeSocketAddress(type, host, port)
    const fd = open(kernel.libc, type, (libc, own) => libc.connect(own, address, address.length))
    const socket = watch(kernel.libc, fd, type, receiveBytes)
    const peer = { address: host, port, encoded: address }
    return new BatchedSocket(kernel, socket, { fd, peer, events })
  }

  get place(): Datagrams['place'] {
    return this.#socket.address()
  }

  send(message: Buffer, to?: Peer, joined = to === undefined): void {
    if (this.#closed) return
    if (to && !to.encoded) {
      this.#socket.send(message, to.port, to.address, ignore)
      return
    }
    if (this.#leaving.length === 0) setImmediate(() => this.#flush())
    const way = joined && message.length <= LONGEST_JOINED ? wayOf(message, to) : undefined
    if (this.#leaving.length < MOST_WAITING) this.#leaving.push({ message, to, way })
    if (this.#leaving.length === ENOUGH) this.#flush()
  }

  close(): void {
    if (this.#closed) return
    // What was answered in this turn leaves all the same.
    this.#flush()
    this.#closed = true
    this.#leaving = []
    this.#socket.close()
  }

  #drain(): void {
    const { libc, arriving } = this.#kernel
    for (let turn = 0; turn < BATCHES_A_TURN && !this.#closed; turn++) {
      const count = libc.recvmmsg(this.#fd, arriving.address, SLOTS, MSG_DONTWAIT, null)
      if (count < 0) return this.#failed('recvmmsg')
      for (let slot = 0; slot < count; slot++) {
        const message = arriving.message(slot)
        const from = this.#peer ?? peerOf(arriving.from(slot))
        arriving.expect(slot)
        if (from && !this.#closed) this.#events.onMessage(message, from)
      }
      if (count < SLOTS) return
    }
  }

  #flush(): void {
    const { libc, leaving: batch } = this.#kernel
    const all = this.#leaving
    this.#leaving = []
    if (this.#joins && all.length > 1) all.sort(byWay)
    for (let first = 0; first < all.length && !this.#closed;) {
      const count = Math.min(SLOTS, all.length - first)
      for (let slot = 0; slot < count; slot++) {
        const { message, to } = all[first + slot] as Leaving
        batch.put(slot, message, to?.encoded)
      }
      const start = first
      const isJoined = (slot: number): boolean =>
        this.#joins && goTogether(all[start + slot - 1], all[start + slot])
      const headers = batch.arrange(count, isJoined)
      const sent = libc.sendmmsg(this.#fd, batch.address, headers, MSG_DONTWAIT)
      if (sent > 0) {
        first += batch.messagesIn(sent)
        continue
      }
      const errno = libc.errno()
      if (errno === EAGAIN) {
        this.#leaving = all.slice(first)
        setTimeout(() => this.#flush(), AGAIN_MS)
        return
      }
      if (errno === EINTR) continue
      // The link takes no such length, or something on the way cannot take them apart again.
      if (batch.messagesIn(1) > 1 && CANNOT_JOIN.has(errno)) {
        this.#joins = false
        continue
      }
      // It is about the first of them alone.
      first += batch.messagesIn(1)
      if (this.#peer) this.#failed('sendmmsg')
    }
  }

  #failed(call: string): void {
    const error = errorOf(this.#kernel.libc, call)
    if (error.errno !== EAGAIN && error.errno !== EINTR) this.#events.onError(error)
  }
}

/** Different wherever the length or the port is. */
const wayOf = ({ length }: Buffer, to: Peer | undefined): number => (to?.port ?? 0) * 0x1_0000 + length

const byWay = (a: Leaving, b: Leaving): number => (a.way ?? -1) - (b.way ?? -1)

const goTogether = (a: Leaving | undefined, b: Leaving | undefined): boolean =>
  a?.way !== undefined && a.way === b?.way && a.to?.address === b.to?.address

/** A socket that `use` made something of; closed when that failed. */
function open(libc: Libc, type: 'udp4' | 'udp6', use: (libc: Libc, fd: number) => number): number {
  const fd = libc.socket(FAMILY[type], SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw errorOf(libc, 'socket')
  if (use(libc, fd) === 0) return fd
  const error = errorOf(libc, 'opening a socket')
  closeSync(fd)
  throw error
}

function bindTo(
  libc: Libc,
  fd: number,
  type: 'udp4' | 'udp6',
  { address, port }: { readonly address: string; readonly port: number },
): number {
  const yes = Buffer.from([1, 0, 0, 0])
  if (type === 'udp6' && libc.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, yes, yes.length) !== 0) return -1
  const encoded = encodeSocketAddress(type, address, port)
  return libc.bind(fd, encoded, encoded.length)
}

/**
 * Node closes it when the socket is closed. Node lets others bind the same place for each socket that it is given, as systemd does for those that it holds: whoever
 * did would get the messages. That is taken back, and holds for a socket of systemd beyond the end of this process.
 */
function watch(libc: Libc, fd: number, type: 'udp4' | 'udp6', receiveBytes: number | undefined): Socket {
  const socket = createSocket({
    type,
    lookup: (address, _, found) => found(null, address, type === 'udp6' ? 6 : 4),
  })
  try {
    socket.bind({ fd })
    const no = Buffer.alloc(4)
    if (libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, no, no.length) !== 0) throw errorOf(libc, 'setsockopt')
    if (receiveBytes !== undefined) socket.setRecvBufferSize(receiveBytes)
    return socket
  } catch (error) {
    socket.close()
    throw error
  }
}

/** Undefined: of another family. */
function peerOf(encoded: Buffer): Peer | undefined {
  const from = readSocketAddress(encoded)
  return from && { address: from.address, port: from.port, encoded }
}

/** Undefined: of a link-local address, whose interface it does not say. */
function encodedOf(address: string, port: number): Buffer | undefined {
  const version = address.includes('%') ? 0 : isIP(address)
  return version === 0 ? undefined : encodeSocketAddress(version === 6 ? 'udp6' : 'udp4', address, port)
}

/** Of a peer that is gone, or a route to it. */
const ignore = (): void => undefined
