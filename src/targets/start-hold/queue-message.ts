import { formatAddress } from '../../net/address.ts'
import type { Address } from '../../net/types.ts'
import { attribute, bigEndian, FLAG, netfilterMessage, padding } from '../../system/netlink-message.ts'

/** Messages about queued packets, as in linux/netfilter/nfnetlink_queue.h. */

const QUEUE = 3
const [PACKET, VERDICT, CONFIG] = [0, 1, 2].map((what) => (QUEUE << 8) | what) as [number, number, number]
const COPY_PACKET = 2
/** As much of a packet as shows its sender. */
const COPIED_BYTES = 40
/** Large packets are queued whole and not in segments. */
const KEEP_WHOLE = 4
const [DROP, REPEAT] = [0, 4]

export interface QueuedPacket {
  readonly id: number
  readonly mark: number
  /** Undefined: the kernel does not tell, or it is no address of Ethernet. */
  readonly mac: string | undefined
  readonly source: Address | undefined
}

/** What becomes of a packet: it is judged by all rules from the beginning, without any mark, or dropped. */
export type QueueVerdict = 'repeat' | 'drop'

/** Takes the queue over, with room for so many packets. */
export const bindQueue = (queue: number, most: number, sequence: number): Buffer =>
  netfilterMessage(
    { type: CONFIG, flags: FLAG.acknowledge, sequence, resource: queue },
    attribute(1, Buffer.from([1, 0, 0, 0])),
    attribute(2, bigEndian(COPIED_BYTES), Buffer.from([COPY_PACKET])),
    attribute(3, bigEndian(most)),
    attribute(4, bigEndian(KEEP_WHOLE)),
    attribute(5, bigEndian(KEEP_WHOLE)),
  )

export function verdictMessage(queue: number, id: number, verdict: QueueVerdict): Buffer {
  const isDrop = verdict === 'drop'
  return netfilterMessage(
    { type: VERDICT, sequence: 0, resource: queue },
    attribute(2, bigEndian(isDrop ? DROP : REPEAT), bigEndian(id)),
    ...(isDrop ? [] : [attribute(3, bigEndian(0))]),
  )
}

/** The packets in what was received at once. Other messages are skipped. */
export function readPackets(bytes: Buffer): QueuedPacket[] {
  const packets: QueuedPacket[] = []
  for (let at = 0; at + 20 <= bytes.length;) {
    const length = bytes.readUInt32LE(at)
    if (length < 20 || at + length > bytes.length) break
    if (bytes.readUInt16LE(at + 4) === PACKET) {
      const packet = packetOf(attributesOf(bytes.subarray(at + 20, at + length)))
      if (packet) packets.push(packet)
    }
    at += length + padding(length)
  }
  return packets
}

function packetOf(attributes: ReadonlyMap<number, Buffer>): QueuedPacket | undefined {
  const header = attributes.get(1)
  if (!header || header.length < 7) return undefined
  const hardware = attributes.get(9)
  return {
    id: header.readUInt32BE(0),
    mark: attributes.get(3)?.readUInt32BE(0) ?? 0,
    mac: hardware && hardware.length >= 10 && hardware.readUInt16BE(0) === 6 ? macOf(hardware) : undefined,
    source: sourceOf(attributes.get(10) ?? Buffer.alloc(0)),
  }
}

const macOf = (hardware: Buffer): string =>
  Array.from(hardware.subarray(4, 10), (byte) => byte.toString(16).padStart(2, '0')).join(':')

function sourceOf(packet: Buffer): Address | undefined {
  const version = (packet[0] ?? 0) >> 4
  if (version === 4 && packet.length >= 20) return formatAddress(packet.subarray(12, 16))
  return version === 6 && packet.length >= 40 ? formatAddress(packet.subarray(8, 24)) : undefined
}

function attributesOf(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > bytes.length) break
    attributes.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length))
    at += length + padding(length)
  }
  return attributes
}
