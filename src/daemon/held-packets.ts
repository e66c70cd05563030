import { portOfMark } from '../dataplane/names.ts'
import type { QueuedPacket, QueueVerdict } from '../targets/start-hold/queue-message.ts'
import type { SenderStatus } from '../targets/bindings/senders.ts'

/** Why a packet is held no longer. */
export const HOLD_OUTCOMES = ['known', 'unknown', 'overflow'] as const
export type HoldOutcome = (typeof HOLD_OUTCOMES)[number]

export interface HeldPacketsOptions {
  readonly statusOf: (port: number, packet: QueuedPacket) => SenderStatus
  readonly decide: (id: number, verdict: QueueVerdict) => void
  /** Packets from this port are not held any more. */
  readonly settle: (port: number) => void
  readonly onEnd: (outcome: HoldOutcome, heldMs: number) => void
}

/** Enough for the first packets of a container: a few connections and a few DNS questions. */
const MOST_OF_A_PORT = 64
const MOST = 512
/** How long a port counts as settled here if the kernel did not take the setting. */
const SETTLED_MS = 60_000

interface HeldPort {
  readonly sinceMs: number
  readonly packets: { readonly packet: QueuedPacket; readonly atMs: number }[]
}

/**
 * Packets from ports whose container is not known yet. They wait until the kernel has the rights of their sender, at most `holdMs` after the first packet of
 * the port, and are judged then. A port is held once: later packets of a sender that is still unknown do not wait.
 */
export class HeldPackets {
  readonly #options: HeldPacketsOptions
  readonly #ports = new Map<number, HeldPort>()
  /** With the time at which it was settled. */
  readonly #settled = new Map<number, number>()
  #count = 0

  constructor(options: HeldPacketsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#count
  }

  /** @param holdMs 0: nothing is held */
  arrived(packet: QueuedPacket, nowMs: number, holdMs: number): void {
    const port = portOfMark(packet.mark)
    const status = this.#options.statusOf(port, packet)
    if (status !== 'unknown') {
      this.#end(port, packet, 0, 'known')
      this.#settle(port, nowMs)
      return
    }
    if (holdMs === 0) return this.#end(port, packet, 0, 'unknown')
    if (this.#isSettled(port, nowMs))
      return this.#end(port, packet, 0, this.#ports.has(port) ? 'overflow' : 'unknown')
    const held = this.#ports.get(port) ?? { sinceMs: nowMs, packets: [] }
    const isFull = held.packets.length >= MOST_OF_A_PORT
    if (isFull || this.#count >= MOST) {
      // The daemon does not work through the rest of a flood.
      if (isFull) this.#settle(port, nowMs)
      return this.#end(port, packet, 0, 'overflow')
    }
    this.#ports.set(port, held)
    held.packets.push({ packet, atMs: nowMs })
    this.#count++
  }

  /** Releases packets whose sender is known now, or whose time is over. */
  look(nowMs: number, holdMs: number): void {
    for (const [port, { sinceMs, packets }] of this.#ports) {
      const isOver = nowMs - sinceMs >= holdMs
      const isBound = packets.some(({ packet }) => this.#options.statusOf(port, packet) !== 'unknown')
      if (!isOver && !isBound) continue
      this.#ports.delete(port)
      this.#count -= packets.length
      for (const { packet, atMs } of packets)
        this.#end(port, packet, nowMs - atMs, isBound ? 'known' : 'unknown')
      this.#settle(port, nowMs)
    }
  }

  /** When {@link look} has something to do at the latest; undefined: nothing is held. */
  nextMs(holdMs: number): number | undefined {
    const [first] = this.#ports.values()
    return first && first.sinceMs + holdMs
  }

  #end(port: number, packet: QueuedPacket, heldMs: number, outcome: HoldOutcome): void {
    const status = this.#options.statusOf(port, packet)
    // The rules look up the sender themselves.
    this.#options.decide(packet.id, status === 'forged' ? 'drop' : 'repeat')
    this.#options.onEnd(outcome, heldMs)
  }

  /** A port is known by a part of its number, which a later port may share. */
  #isSettled(port: number, nowMs: number): boolean {
    const atMs = this.#settled.get(port)
    return atMs !== undefined && nowMs - atMs < SETTLED_MS
  }

  #settle(port: number, nowMs: number): void {
    if (this.#isSettled(port, nowMs)) return
    this.#settled.set(port, nowMs)
    this.#options.settle(port)
  }
}
