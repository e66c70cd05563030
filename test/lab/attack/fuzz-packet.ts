import type { Random } from '../soak/random.ts'
import { join, u16, u32, u8 } from './bytes.ts'
import { icmp, icmpNumber, ip, PROTOCOL, tcp, udp } from './packet.ts'

export interface Pool {
  readonly sources: readonly string[]
  readonly destinations: readonly string[]
  readonly ports: readonly number[]
  readonly secret: Buffer
}

const RARE = [0, 2, 4, 33, 41, 46, 47, 50, 51, 89, 94, 103, 108, 112, 132, 136, 137, 253, 255] as const
const FLAGS = [0, 1, 2, 3, 4, 6, 16, 18, 20, 24, 41, 63] as const
/** Sent by routers or by who asks one; the bridge's bindings know the forged ones by type. */
const ICMP_TYPES = {
  4: [0, 3, 4, 5, 8, 11, 12, 13, 17],
  6: [1, 2, 3, 4, 128, 129, 133, 134, 135, 136, 137, 143],
} as const

/** One packet of IPv4 or IPv6 that carries the secret, whole or in fragments. */
export function randomPacket(random: Random, family: 4 | 6, pool: Pool): readonly Buffer[] {
  const ofFamily = (list: readonly string[]) => list.filter((one) => one.includes(':') === (family === 6))
  const ends = { src: random.pick(ofFamily(pool.sources)), dst: random.pick(ofFamily(pool.destinations)) }
  const [protocol, payload] = randomPayload(random, ends, pool)
  return family === 4
    ? randomIpv4(random, ends, protocol, payload, pool)
    : randomIpv6(random, ends, protocol, payload, pool)
}

type Ends = Parameters<typeof icmp>[0]

function randomPayload(random: Random, ends: Ends, { ports, secret }: Pool): readonly [number, Buffer] {
  const [from, to] = [1024 + random.below(60_000), random.pick(ports)]
  const family = ends.dst.includes(':') ? 6 : 4
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2:
      return [PROTOCOL.udp, udp(ends, from, to, secret)]
    case 3:
    case 4:
      return [PROTOCOL.tcp, tcp(ends, from, to, random.pick(FLAGS), secret)]
    case 5: {
      const quoted = ip({
        src: ends.dst,
        dst: ends.src,
        protocol: PROTOCOL.udp,
        payload: udp(ends, to, from, secret),
      })
      const rest = random.below(2) === 0 ? join(u16(from, to), secret) : join(u32(0), quoted)
      return [icmpNumber(ends), icmp(ends, random.pick(ICMP_TYPES[family]), random.below(3), rest)]
    }
    case 6: {
      // A packet within a packet: whoever ends a tunnel here takes the inner one out.
      const inner = ip({ ...ends, protocol: PROTOCOL.udp, payload: udp(ends, from, to, secret) })
      const six = family === 6
      return random.below(2) === 0
        ? [six ? PROTOCOL.ipv6 : PROTOCOL.ipip, inner]
        : [PROTOCOL.gre, join(u16(0, six ? 0x86dd : 0x0800), inner)]
    }
    default:
      return [random.pick(RARE), join(u32(random.below(2 ** 32)), secret)]
  }
}

const OPTIONS = [
  Buffer.alloc(0),
  u8(1, 1, 1, 0),
  // Record route, loose and strict source routes through another address, router alert.
  u8(7, 7, 4, 0, 0, 0, 0, 0),
  u8(131, 7, 4, 203, 0, 113, 66, 0),
  u8(137, 7, 4, 203, 0, 113, 66, 0),
  u8(148, 4, 0, 0),
] as const

function randomIpv4(
  random: Random,
  ends: Ends,
  protocol: number,
  payload: Buffer,
  { secret }: Pool,
): readonly Buffer[] {
  const common = {
    ...ends,
    protocol,
    id: 1 + random.below(65_535),
    ttl: random.pick([1, 2, 64, 255]),
    options: random.below(3) === 0 ? random.pick(OPTIONS) : Buffer.alloc(0),
  }
  if (random.below(6) > 0) return [ip({ ...common, payload })]
  const more = join(payload, ...Array<Buffer>(4).fill(secret))
  const at = 24
  const [first, last] = [more.subarray(0, at), more.subarray(at)]
  const pieces = [
    ip({ ...common, payload: first, fragment: 0x2000 }),
    ip({ ...common, payload: last, fragment: at / 8 }),
  ]
  return random.below(2) === 0 ? pieces : random.below(2) === 0 ? pieces.toReversed() : pieces.slice(1)
}

/** What stands before the payload, by the number that names it to the header before. */
function extension(random: Random, next: number): readonly [number, Buffer] {
  const padding = u8(1, 4, 0, 0, 0, 0)
  switch (random.below(5)) {
    case 0:
      return [PROTOCOL.hopByHop, join(u8(next, 0), padding)]
    case 1:
      return [PROTOCOL.destinationOptions, join(u8(next, 0), padding)]
    case 2:
      return [PROTOCOL.routing, join(u8(next, 0, random.pick([0, 2, 3, 4, 253]), 0), u32(0))]
    case 3:
      return [PROTOCOL.fragment, join(u8(next, 0), u16(0), u32(random.below(2 ** 32)))]
    default:
      return [PROTOCOL.destinationOptions, join(u8(next, 1), u8(1, 12), Buffer.alloc(12))]
  }
}

function randomIpv6(
  random: Random,
  ends: Ends,
  protocol: number,
  payload: Buffer,
  { secret }: Pool,
): readonly Buffer[] {
  let [number, body] = [protocol, payload]
  for (let headers = random.below(4); headers > 0; headers -= 1) {
    const [own, header] = extension(random, number)
    ;[number, body] = [own, join(header, body)]
  }
  const ttl = random.pick([1, 64, 255])
  if (random.below(6) > 0) return [ip({ ...ends, protocol: number, payload: body, ttl })]
  const more = join(body, ...Array<Buffer>(4).fill(secret))
  const id = random.below(2 ** 32)
  const piece = (bytes: Buffer, offsetAndFlag: number): Buffer =>
    ip({
      ...ends,
      ttl,
      protocol: PROTOCOL.fragment,
      payload: join(u8(number, 0), u16(offsetAndFlag), u32(id), bytes),
    })
  const pieces = [piece(more.subarray(0, 48), 1), piece(more.subarray(48), 48)]
  return random.below(2) === 0 ? pieces : pieces.toReversed()
}
