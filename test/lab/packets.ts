import { z } from 'zod'
import { FAMILIES, type Family } from '../../src/net/types.ts'
import type { LabContainer } from './container.ts'
import type { FarEnd } from './far-end.ts'

export interface FloodOptions {
  readonly dst: string
  /** syn: TCP. Every packet has a source port of its own, so each is a flow of its own. */
  readonly proto: 'udp' | 'syn'
  readonly port?: number
  /** Packets a second. */
  readonly rate: number
  readonly seconds: number
}

/** Floods from a container; resolves with the number of packets sent when the time is over. */
export async function flood(from: LabContainer, options: FloodOptions): Promise<number> {
  const { dst, port = 9999, proto, rate, seconds } = options
  const argv =
    `sender flood --proto=${proto} --dst=${dst} --port=${port} --rate=${rate} --seconds=${seconds}`.split(' ')
  const { stdout, stderr, code } = await from.exec(argv, { timeoutMs: (seconds + 30) * 1000 })
  if (code !== 0) throw new Error(`flooding ${dst}: ${stderr}`)
  return z.object({ sent: z.number() }).parse(JSON.parse(stdout)).sent
}

/** One kind of odd packet, sent to an address of its own: what arrives there is that kind. */
export interface OddPacket {
  /** `v4-tcp-null`, `v6-hop-by-hop` …; `sender.pl` makes them. */
  readonly kind: string
  readonly dst: string
  readonly sent: number
}

const Report = z.array(z.object({ kind: z.string(), dst: z.string(), proto: z.number(), sent: z.number() }))

/**
 * Where odd packets go. Each sending takes the next 64 addresses: a second flow to the same address could
 * be lost to the first one's NAT, which is not the loss that a test looks for.
 */
export const ODD_RANGE = { 4: '198.18.0.0/16', 6: '2001:db8:f::1:0/112' } as const
let sendings = 0

export interface OddOptions {
  readonly families?: readonly Family[]
  /** Kinds, as `sender kinds` lists them. */
  readonly only?: readonly string[]
  /** Packets of each kind, default 1. */
  readonly count?: number
}

/** Sends every odd packet from a container. */
export async function sendOdd(from: LabContainer, options: OddOptions = {}): Promise<readonly OddPacket[]> {
  const families = options.families ?? FAMILIES
  const offset = 64 * (sendings++ % 1000)
  const base4 = `198.18.${offset >> 8}.${offset & 255}`
  const base6 = `2001:db8:f::1:${offset.toString(16)}`
  const { stdout, stderr, code } = await from.exec(
    [
      'sender',
      'odd',
      `--count=${options.count ?? 1}`,
      ...(families.includes(4) ? [`--dst=${base4}`] : []),
      ...(families.includes(6) ? [`--dst6=${base6}`] : []),
      ...(options.only ? [`--only=${options.only.join(',')}`] : []),
    ],
    { timeoutMs: 60_000 },
  )
  if (code !== 0) throw new Error(`sending odd packets: ${stderr}`)
  return Report.parse(JSON.parse(stdout))
}

/** The kinds of which at least one packet arrived. */
export async function arrivedKinds(
  packets: readonly OddPacket[],
  farEnd: FarEnd,
): Promise<readonly string[]> {
  const totals = await farEnd.totals()
  return packets.filter(({ dst }) => (totals.get(dst) ?? 0) > 0).map(({ kind }) => kind)
}
