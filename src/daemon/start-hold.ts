import { HELD_PACKET, PORT_BITS, portNumber } from '../dataplane/names.ts'
import { PacketQueue } from '../targets/start-hold/packet-queue.ts'
import type { QueuedPacket } from '../targets/start-hold/queue-message.ts'
import type { Senders, SenderStatus } from '../targets/bindings/senders.ts'
import { libcOrWhyNot } from '../system/libc.ts'
import type { HostInterface, InterfacePort } from '../system/host.ts'
import { HeldPackets, type HoldOutcome } from './held-packets.ts'
import { errorChain } from '../system/errors.ts'

export interface StartHoldOptions {
  /** The senders that the bindings in the kernel know; undefined: there are no bindings. */
  readonly senders: () => Senders | undefined
  readonly interfaces: () => readonly HostInterface[]
  /** Registers a listener to be called when the kernel has packets for us. */
  readonly onReadable: (listener: () => void) => void
  readonly onEnd: (outcome: HoldOutcome, heldMs: number) => void
  /** Called with why first packets are not held though they should be; undefined: they are. */
  readonly onState: (problem: string | undefined) => void
}

/** What is to be held, by the config and by whether rights differ at all. */
export interface HoldWish {
  readonly isWanted: boolean
  readonly holdMs: number
  /** The packet-mark bit of the second guard. */
  readonly mark: number
}

/** Holds the first packets of containers while the config asks for it, by a queue and the table that leads packets to it. */
export class StartHold {
  readonly #options: StartHoldOptions
  readonly #held: HeldPackets
  #queue: PacketQueue | undefined
  #wish: HoldWish = { isWanted: false, holdMs: 0, mark: 0 }
  /** The rules lead packets to the queue. */
  #leads = false
  /** It failed, and is not tried again until the wish changes. */
  #refused = false
  #listens = false
  #timer: NodeJS.Timeout | undefined
  /** The senders and interfaces by which the kernel was last told which ports not to hold. */
  #spared:
    { readonly senders: Senders | undefined; readonly interfaces: readonly HostInterface[] } | undefined
  #sparedPorts: ReadonlySet<number> = new Set()
  #ports: { readonly of: readonly HostInterface[]; readonly byNumber: ReadonlyMap<number, InterfacePort> } = {
    of: [],
    byNumber: new Map(),
  }

  constructor(options: StartHoldOptions) {
    this.#options = options
    this.#held = new HeldPackets({
      statusOf: (port, packet) => this.#statusOf(port, packet),
      decide: (id, verdict) => this.#queue?.decide(id, verdict),
      settle: (number) => {
        const port = this.#portOf(number)
        if (port) this.#settle([port.index])
      },
      onEnd: options.onEnd,
    })
  }

  /** Opens or closes the queue. Returns whether the rules should lead packets to it. */
  prepare(wish: HoldWish): boolean {
    const isOther =
      wish.holdMs !== this.#wish.holdMs ||
      wish.mark !== this.#wish.mark ||
      wish.isWanted !== this.#wish.isWanted
    this.#wish = wish
    if (isOther) this.#refused = false
    if (!wish.isWanted) {
      this.close()
      if (isOther) this.#options.onState(undefined)
    } else if (!this.#queue && !this.#refused) this.#open()
    return this.#queue !== undefined
  }

  /** The rules that lead packets to the queue are in force. */
  begin(): void {
    if (!this.#queue || this.#leads) return
    try {
      this.#queue.begin()
      this.#leads = true
      this.#spareBound()
      this.#options.onState(undefined)
    } catch (error) {
      this.giveUp(errorChain(error))
    }
  }

  /** The kernel refuses the rules or the queue. Returns whether it was open. */
  giveUp(why: string): boolean {
    const hadIt = this.#queue !== undefined
    this.close()
    this.#refused = true
    this.#options.onState(
      `the first packets of a container are judged before its rights are known, and may be lost: ${why}; guard.holdNew: 0 leaves it at that`,
    )
    return hadIt
  }

  /** Releases packets of senders whose rights are known by now. */
  look(): void {
    this.#spareBound()
    if (this.#queue && this.#held.count > 0) this.#turn()
  }

  close(): void {
    clearTimeout(this.#timer)
    // Packets that are still held are judged as from an unknown sender.
    this.#held.look(Number.POSITIVE_INFINITY, 0)
    this.#queue?.close()
    this.#queue = undefined
    this.#leads = false
    this.#spared = undefined
    this.#sparedPorts = new Set()
  }

  #open(): void {
    const { mark } = this.#wish
    const libc = libcOrWhyNot()
    if (libc instanceof Error) return void this.giveUp(libc.message)
    if ((mark & (PORT_BITS.mask | HELD_PACKET)) !== 0)
      return void this.giveUp('guard.mark is one of the bits that tell ports apart (0x8fffc000)')
    if (!this.#listens) this.#options.onReadable(() => this.#turn())
    this.#listens = true
    try {
      this.#queue = new PacketQueue(libc)
    } catch (error) {
      this.giveUp(errorChain(error))
    }
  }

  #turn(): void {
    const queue = this.#queue
    if (!queue) return
    const nowMs = performance.now()
    const { holdMs } = this.#wish
    this.#held.look(nowMs, holdMs)
    const isAll = queue.read((packet) => this.#held.arrived(packet, nowMs, holdMs))
    if (!isAll) setImmediate(() => this.#turn())
    clearTimeout(this.#timer)
    const nextMs = this.#held.nextMs(holdMs)
    if (nextMs !== undefined)
      this.#timer = setTimeout(() => this.#turn(), Math.max(1, nextMs - performance.now()))
  }

  #statusOf(number: number, { mac, source }: QueuedPacket): SenderStatus {
    const port = this.#portOf(number)
    const senders = this.#options.senders()
    if (!port || !senders || mac === undefined || source === undefined) return 'unknown'
    return senders.statusOf({ port: port.name, mac, address: source })
  }

  /** Tells the kernel which ports have bindings, so that their packets do not come here first. */
  #spareBound(): void {
    if (!this.#leads) return
    const [senders, interfaces] = [this.#options.senders(), this.#options.interfaces()]
    if (this.#spared?.senders === senders && this.#spared?.interfaces === interfaces) return
    const ports = interfaces.flatMap((one) => one.ports).filter(({ name }) => senders?.isBound(name))
    const before = this.#sparedPorts
    this.#spared = { senders, interfaces }
    this.#sparedPorts = new Set(ports.map(({ index }) => index))
    this.#settle([...this.#sparedPorts].filter((index) => !before.has(index)))
  }

  #settle(indexes: readonly number[]): void {
    try {
      this.#queue?.settle(indexes)
    } catch {
      // Their packets come here then, and are released at once.
    }
  }

  /** Undefined: the port is not known yet, or several share its number. */
  #portOf(number: number): InterfacePort | undefined {
    const interfaces = this.#options.interfaces()
    if (interfaces !== this.#ports.of) {
      const byNumber = new Map<number, InterfacePort>()
      const several = new Set<number>()
      for (const port of interfaces.flatMap(({ ports }) => ports)) {
        const own = portNumber(port.index)
        if (byNumber.has(own)) several.add(own)
        byNumber.set(own, port)
      }
      for (const own of several) byNumber.delete(own)
      this.#ports = { of: interfaces, byNumber }
    }
    return this.#ports.byNumber.get(number)
  }
}
