import { HELD_PACKET, HOLD_TABLE, PORT_BITS, PROOF_PORTS } from '../../dataplane/names.ts'
import {
  attribute,
  bigEndian,
  FLAG,
  nested,
  netfilterMessage,
  zeroEnded,
} from '../../system/netlink-message.ts'

/**
 * The table that marks packets of ports that are not bound yet with the number of their port. It is written by netlink messages, since nft has no
 * syntax to put the number of an interface into a mark. The process that makes it owns it: when the process ends the table goes, and no packet is held.
 */

const NFTABLES = 10
const DO = { table: 0, chain: 3, rule: 6, set: 9, element: 12 } as const
const [BATCH_BEGIN, BATCH_END] = [0x10, 0x11]
const NFPROTO_BRIDGE = 7
const TABLE_OWNER = 2
const SET_TIMEOUT = 0x10
/** Packets add elements to it. */
const SET_DYNAMIC = 0x20
const INTERFACE_INDEX = 20
const CHAIN = 'ports'
const SETTLED = 'settled'
const RATES = 'rates'
/** Ports of which a packet was held, and those of them whose first packet was held less than two seconds ago. */
const [SEEN, FIRST] = ['seen', 'first']
/** After the bindings (-300), which give bound ports their rights. */
const PRIORITY = -299
/** Bounds the memory for ports that no longer exist. The kernel gives the number of an interface only once. */
const LONG_MS = 86_400_000
const MOST_PORTS = 65_536
/** Packets of one port. The rest of a flood never reaches the queue, where it would take the room of other ports. */
const MOST_A_SECOND = 64
const RATES_MS = 60_000
/** A little longer than the daemon holds any packet. A daemon that hangs delays no container for longer. */
const FIRST_MS = 2_000

/** @param sequence of its first message; the kernel acknowledges each that can fail. */
export function createHoldTable(sequence: number): Buffer {
  return batch(sequence, [
    [DO.table, attribute(1, zeroEnded(HOLD_TABLE)), attribute(2, bigEndian(TABLE_OWNER))],
    setOfPorts(SETTLED, SET_TIMEOUT, LONG_MS),
    setOfPorts(RATES, SET_TIMEOUT | SET_DYNAMIC, RATES_MS),
    setOfPorts(SEEN, SET_TIMEOUT | SET_DYNAMIC, LONG_MS),
    setOfPorts(FIRST, SET_TIMEOUT | SET_DYNAMIC, FIRST_MS),
    [
      DO.chain,
      attribute(1, zeroEnded(HOLD_TABLE)),
      attribute(3, zeroEnded(CHAIN)),
      nested(4, attribute(1, bigEndian(0)), attribute(2, bigEndian(PRIORITY >>> 0))),
      attribute(5, bigEndian(ACCEPT)),
      attribute(7, zeroEnded('filter')),
    ],
    ...RULES.map((expressions): Request => [
      DO.rule,
      attribute(1, zeroEnded(HOLD_TABLE)),
      attribute(2, zeroEnded(CHAIN)),
      nested(4, ...expressions),
    ]),
  ])
}

/** Packets of these ports are no longer held. */
export const settlePorts = (sequence: number, indexes: readonly number[]): Buffer =>
  batch(sequence, [
    [
      DO.element,
      attribute(1, zeroEnded(HOLD_TABLE)),
      attribute(2, zeroEnded(SETTLED)),
      nested(3, ...indexes.map((index) => nested(1, nested(1, attribute(1, littleEndian(index)))))),
    ],
  ])

type Request = readonly [what: number, ...attributes: readonly Buffer[]]

/** Sets get their numbers within a batch by their order. */
const SETS = [SETTLED, RATES, SEEN, FIRST]
const idOf = (set: string): Buffer => bigEndian(1 + SETS.indexOf(set))

const setOfPorts = (name: string, flags: number, timeoutMs: number): Request => [
  DO.set,
  attribute(1, zeroEnded(HOLD_TABLE)),
  attribute(2, zeroEnded(name)),
  attribute(3, bigEndian(flags)),
  attribute(4, bigEndian(INTERFACE_INDEX)),
  attribute(5, bigEndian(4)),
  nested(9, attribute(1, bigEndian(MOST_PORTS))),
  attribute(10, idOf(name)),
  attribute(11, bigEndian(0), bigEndian(timeoutMs)),
]

function batch(sequence: number, requests: readonly Request[]): Buffer {
  const mark = (type: number, at: number): Buffer =>
    netfilterMessage({ type, sequence: sequence + at, resource: NFTABLES })
  return Buffer.concat([
    mark(BATCH_BEGIN, 0),
    ...requests.map(([what, ...attributes], index) =>
      netfilterMessage(
        {
          type: (NFTABLES << 8) | what,
          flags: FLAG.create | FLAG.append | FLAG.acknowledge,
          sequence: sequence + 1 + index,
          family: NFPROTO_BRIDGE,
        },
        ...attributes,
      ),
    ),
    mark(BATCH_END, requests.length + 1),
  ])
}

const ACCEPT = 1
const META = { mark: 3, index: 4, name: 6, protocol: 16 } as const
const REGISTER = bigEndian(1)

/** The kernel's own order of bytes. */
function littleEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

const expression = (name: string, ...data: readonly Buffer[]): Buffer =>
  nested(1, attribute(1, zeroEnded(name)), nested(2, ...data))
const load = (key: number): Buffer => expression('meta', attribute(1, REGISTER), attribute(2, bigEndian(key)))
const compare = (operator: 'equal' | 'other', value: Buffer): Buffer =>
  expression(
    'cmp',
    attribute(1, REGISTER),
    attribute(2, bigEndian(operator === 'equal' ? 0 : 1)),
    nested(3, attribute(1, value)),
  )
const bitwise = (mask: Buffer, xor: Buffer): Buffer =>
  expression(
    'bitwise',
    attribute(1, REGISTER),
    attribute(2, REGISTER),
    attribute(3, bigEndian(mask.length)),
    nested(4, attribute(1, mask)),
    nested(5, attribute(1, xor)),
  )
const shiftLeft = (by: number): Buffer =>
  expression(
    'bitwise',
    attribute(1, REGISTER),
    attribute(2, REGISTER),
    attribute(3, bigEndian(4)),
    attribute(6, bigEndian(1)),
    nested(7, attribute(1, littleEndian(by))),
  )
/** One byte of the frame. */
const loadByte = (layer: 'link' | 'transport', offset: number): Buffer =>
  expression(
    'payload',
    attribute(1, REGISTER),
    attribute(2, bigEndian(layer === 'link' ? 0 : 2)),
    attribute(3, bigEndian(offset)),
    attribute(4, bigEndian(1)),
  )
const isIn = (set: string, inverse = false): Buffer =>
  expression(
    'lookup',
    attribute(1, zeroEnded(set)),
    attribute(2, REGISTER),
    attribute(4, idOf(set)),
    attribute(5, bigEndian(inverse ? 1 : 0)),
  )
const dynamicSet = (operation: number, set: string, ...more: readonly Buffer[]): Buffer =>
  expression(
    'dynset',
    attribute(1, zeroEnded(set)),
    attribute(2, idOf(set)),
    attribute(3, bigEndian(operation)),
    attribute(4, REGISTER),
    ...more,
  )
const [ADD, UPDATE] = [0, 1]
/** Packets above the rate do not match. */
const withinRate = dynamicSet(
  UPDATE,
  RATES,
  nested(
    7,
    attribute(1, zeroEnded('limit')),
    nested(
      2,
      attribute(1, bigEndian(0), bigEndian(MOST_A_SECOND)),
      attribute(2, bigEndian(0), bigEndian(1)),
      attribute(3, bigEndian(MOST_A_SECOND)),
      attribute(4, bigEndian(0)),
      attribute(5, bigEndian(0)),
    ),
  ),
)
const accept = expression(
  'immediate',
  attribute(1, bigEndian(0)),
  nested(2, nested(2, attribute(1, bigEndian(ACCEPT)))),
)
const setMarkToPort = [
  load(META.index),
  shiftLeft(PORT_BITS.shift),
  bitwise(littleEndian(PORT_BITS.mask), littleEndian(HELD_PACKET)),
  expression('meta', attribute(2, bigEndian(META.mark)), attribute(3, REGISTER)),
]
const isUnicast = [
  loadByte('link', 0),
  bitwise(Buffer.from([1]), Buffer.from([0])),
  compare('equal', Buffer.from([0])),
]

/** Packets that begin a connection to one receiver. Others, such as ICMP errors, are not held: the bindings check more of them than their address. */
const STARTS: readonly { readonly protocol: number; readonly type?: number }[] = [
  { protocol: 6 },
  { protocol: 17 },
  { protocol: 1, type: 8 },
  { protocol: 58, type: 128 },
]

const RULES: readonly (readonly Buffer[])[] = [
  [load(META.mark), compare('other', littleEndian(0)), accept],
  [load(META.index), isIn(SETTLED), accept],
  [load(META.index), isIn(SEEN), isIn(FIRST, true), accept],
  [load(META.name), compare('other', Buffer.from('veth')), accept],
  ...Object.values(PROOF_PORTS).map((name) => [load(META.name), compare('equal', Buffer.from(name)), accept]),
  ...STARTS.map(({ protocol, type }) => [
    load(META.protocol),
    compare('equal', Buffer.from([protocol])),
    ...(type === undefined ? [] : [loadByte('transport', 0), compare('equal', Buffer.from([type]))]),
    ...isUnicast,
    load(META.index),
    dynamicSet(ADD, SEEN),
    dynamicSet(ADD, FIRST),
    withinRate,
    ...setMarkToPort,
  ]),
]
