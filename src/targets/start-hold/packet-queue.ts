import { closeSync } from 'node:fs'
import { HOLD_QUEUE } from '../../dataplane/names.ts'
import { errorOf, type Libc } from '../../system/libc.ts'
import { createHoldTable, settlePorts } from './hold-table.ts'
import {
  bindQueue,
  readPackets,
  verdictMessage,
  type QueuedPacket,
  type QueueVerdict,
} from './queue-message.ts'

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const NETLINK_NETFILTER = 12
const [F_SETFL, F_SETOWN, F_SETSIG] = [4, 8, 10]
/** The usual signal, SIGIO, ends a process that does not handle it, and a library of ours takes it for the end of the process. */
const SIGURG = 23
const O_ASYNC = 0o20000
const MSG_DONTWAIT = 0x40
const ENOBUFS = 105
const [SOL_SOCKET, SO_RCVBUFFORCE] = [1, 33]
/** Room for everything that the queue can hold. */
const RECEIVE_BYTES = 4 << 20
const ACKNOWLEDGEMENT = 2
const MESSAGE_BYTES = 65_536
/** As many as fit into one attribute. */
const PORTS_A_MESSAGE = 1_000
/** Messages read in one turn, so that a flood does not delay everything else. */
const MESSAGES_A_TURN = 256
/** Packets that wait in the kernel. It drops those for which there is no room: the rights of their senders are not known. */
const MOST_QUEUED = 1_024

/** The queue in which the kernel keeps first packets, and the table that leads them there. Both end with the process. */
export class PacketQueue {
  readonly #libc: Libc
  readonly #queue: number
  readonly #tables: number
  readonly #memory = Buffer.allocUnsafeSlow(MESSAGE_BYTES)
  #sequence = 1
  #closed = false

  /**
   * From now on the kernel sends SIGURG when there are packets.
   * @throws where the kernel has no such queue or table, or somebody else has them.
   */
  constructor(libc: Libc) {
    this.#libc = libc
    this.#queue = this.#open()
    try {
      this.#ask(this.#queue, bindQueue(HOLD_QUEUE, MOST_QUEUED, this.#next(1)), 'taking a queue for packets')
      const room = Buffer.alloc(4)
      room.writeUInt32LE(RECEIVE_BYTES)
      libc.setsockopt(this.#queue, SOL_SOCKET, SO_RCVBUFFORCE, room, room.length)
      this.#set(F_SETOWN, libc.getpid())
      this.#set(F_SETSIG, SIGURG)
      this.#set(F_SETFL, O_ASYNC | SOCK_NONBLOCK)
      this.#tables = this.#open()
    } catch (error) {
      closeSync(this.#queue)
      throw error
    }
  }

  /** Marks packets from now on. The rules that lead such packets to the queue must be in force. @throws when the kernel refuses it. */
  begin(): void {
    this.#ask(this.#tables, createHoldTable(this.#next(32)), 'making a table for what is held')
  }

  /** Holds no more packets of these ports. A port may be named twice. */
  settle(indexes: readonly number[]): void {
    for (let at = 0; at < indexes.length; at += PORTS_A_MESSAGE) {
      const message = settlePorts(this.#next(4), indexes.slice(at, at + PORTS_A_MESSAGE))
      this.#ask(this.#tables, message, 'letting ports go')
    }
  }

  /** False: there may be more. */
  read(onPacket: (packet: QueuedPacket) => void): boolean {
    for (let turn = 0; turn < MESSAGES_A_TURN && !this.#closed; turn++) {
      const bytes = this.#libc.recv(this.#queue, this.#memory, MESSAGE_BYTES, MSG_DONTWAIT)
      // The kernel had no room to announce some packets and has dropped them; there may be more.
      if (bytes < 0 && this.#libc.errno() === ENOBUFS) continue
      if (bytes <= 0) return true
      for (const packet of readPackets(this.#memory.subarray(0, bytes))) onPacket(packet)
    }
    return this.#closed
  }

  /** A packet that is gone by now needs no verdict. */
  decide(id: number, verdict: QueueVerdict): void {
    if (this.#closed) return
    const message = verdictMessage(HOLD_QUEUE, id, verdict)
    this.#libc.send(this.#queue, message, message.length, 0)
  }

  /** The kernel drops the packets that are still held. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#tables)
    closeSync(this.#queue)
  }

  #set(command: number, value: number): void {
    if (this.#libc.fcntl(this.#queue, command, value) < 0) throw errorOf(this.#libc, 'fcntl')
  }

  #open(): number {
    const fd = this.#libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)
    if (fd < 0) throw errorOf(this.#libc, 'opening a socket to netfilter')
    return fd
  }

  #next(count: number): number {
    const sequence = this.#sequence
    this.#sequence += count
    return sequence
  }

  /** The kernel answers before the message counts as sent. */
  #ask(fd: number, message: Buffer, what: string): void {
    if (this.#libc.send(fd, message, message.length, 0) !== message.length)
      throw new Error(what, { cause: errorOf(this.#libc, 'send') })
    let answers = 0
    for (; answers < MESSAGES_A_TURN; answers++) {
      const bytes = this.#libc.recv(fd, this.#memory, MESSAGE_BYTES, MSG_DONTWAIT)
      if (bytes <= 0) break
      if (this.#memory.readUInt16LE(4) !== ACKNOWLEDGEMENT) continue
      const errno = -this.#memory.readInt32LE(16)
      if (errno !== 0) throw new Error(`${what}: the kernel refuses it (error ${errno})`)
    }
    if (answers === 0) throw new Error(`${what}: the kernel says nothing`)
  }
}
