import { HELD_PACKET, PORT_BITS, portNumber } from '../dataplane/names.ts'
import { PacketQueue } from '../targets/start-hold/packet-queue.ts'
import type { QueuedPacket } from '../targets/start-hold/queue-message.ts'
import type { Senders, SenderStatus } from '../targets/bindings/senders.ts'
import { libcOrWhyNot } from '../system/libc.ts'
import type { HostInterface, InterfacePort } from '../system/host.ts'
import { HeldPackets, type HoldOutcome } from './held-packets.ts'
import { errorChain } from '../system/errors.ts'

export interface StartHoldOptions {
  /** What the bindings in the kernel say of who sends; undefined: nobody is bound. */
  readonly senders: () => Senders | undefined
  readonly interfaces: () => readonly HostInterface[]
  /** Called when the kernel has packets for us. */
  readonly onReadable: (listener: () => void) => void
  readonly onEnd: (outcome: HoldOutcome, heldMs: number) => void
  /** First packets are held (undefined), or why they are not though they ought to be. */
  readonly onState: (problem: string | undefined) => void
}

/** What is to be held, by the config and by whether rights differ at all. */
export interface HoldWish {
  readonly isWanted: boolean
  readonly holdMs: number
  /** The packet-mark bit of the second guard. */
  readonly mark: number
}

/** The first packets of containers as a part of the daemon: held while the config asks for it, with the queue and the table that lead them here. */
export class StartHold {
  readonly #options: StartHoldOptions
  readonly #held: HeldPackets
  #queue: PacketQueue | undefined
  #wish: HoldWish = { isWanted: false, holdMs: 0, mark: 0 }
  /** Packets are led here. */
  #leads = false
  /** It was tried in vain: not again under the same wish. */
  #refused = false
  #listens = false
  #timer: NodeJS.Timeout | undefined
  /** By whom, and by which interfaces, the kernel knows that nothing of bound ports is to be held. */
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

  /** Returns whether the rules ought to lead packets here. */
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

  /** The rules stand that lead packets here: from now on there are some. */
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

  /** The rules that lead packets here are refused, or something else that it takes. Returns whether there was anything to give up. */
  giveUp(why: string): boolean {
    const hadIt = this.#queue !== undefined
    this.close()
    this.#refused = true
    this.#options.onState(
      `the first packets of a container are judged before its rights are known, and may be lost: ${why}; guard.holdNew: 0 leaves it at that`,
    )
    return hadIt
  }

  /** Rights may be known that were not. */
  look(): void {
    this.#spareBound()
    if (this.#queue && this.#held.count > 0) this.#turn()
  }

  close(): void {
    clearTimeout(this.#timer)
    // What is held is judged as unknown.
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

  /** Ports whose rights stand: what they send need not come here first. */
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
      // What they send comes here, and goes on at once.
    }
  }

  /** Undefined: the kernel has not told of it yet, or the number is that of several. */
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
