import { z } from 'zod'
import type { Box } from './box.ts'

export interface PacketFilter {
  /** IP protocol name or number as nft prints it, `udp` for example. */
  readonly proto?: string
  /** Destination port; needs `proto` tcp or udp. */
  readonly port?: number
  /** Only packets with this source address, as seen at the far end. */
  readonly from?: string
}

/**
 * Counts every packet that arrives in the little internet, before anything there looks at it. Each count is
 * kept in the kernel, one element per destination, so none is lost at any rate.
 */
export class FarEnd {
  constructor(private readonly inet: Box) {}

  async start(): Promise<void> {
    await this.inet.run(['nft', '-f', '-'], { input: COUNTERS })
  }

  async reset(): Promise<void> {
    await this.inet.run(['nft', '-f', '-'], {
      input: SETS.map((set) => `flush set inet far-end ${set}\n`).join(''),
    })
  }

  /** Packets that arrived for one address, of one family. */
  async count(destination: string, filter: PacketFilter = {}): Promise<number> {
    const family = destination.includes(':') ? '6' : '4'
    if (filter.port !== undefined)
      return this.find(`ports${family}`, [destination, filter.proto ?? 'udp', filter.port])
    if (filter.proto !== undefined) return this.find(`protocols${family}`, [destination, filter.proto])
    if (filter.from !== undefined) return this.find(`sources${family}`, [filter.from, destination])
    return this.find(`all${family}`, [destination])
  }

  /** Every destination that got a packet, with its count. */
  async totals(): Promise<ReadonlyMap<string, number>> {
    const elements = [...(await this.elements('all4')), ...(await this.elements('all6'))]
    return new Map(elements.map(({ key, packets }) => [String(key[0]), packets]))
  }

  /** Who sent to an address, as the far end sees it. */
  async sources(destination: string): Promise<readonly string[]> {
    const elements = await this.elements(`sources${destination.includes(':') ? '6' : '4'}`)
    return elements.filter(({ key }) => key[1] === destination).map(({ key }) => String(key[0]))
  }

  private async find(set: string, wanted: readonly (string | number)[]): Promise<number> {
    const elements = await this.elements(set)
    return elements.find(({ key }) => key.join() === wanted.join())?.packets ?? 0
  }

  private async elements(set: string): Promise<readonly Element[]> {
    const { stdout } = await this.inet.run(['nft', '-j', 'list', 'set', 'inet', 'far-end', set])
    const { nftables } = Listing.parse(JSON.parse(stdout))
    return nftables
      .flatMap((item) => item.set?.elem ?? [])
      .map(({ elem }) => ({
        key: typeof elem.val === 'object' ? elem.val.concat : [elem.val],
        packets: elem.counter.packets,
      }))
  }
}

interface Element {
  readonly key: readonly (string | number)[]
  readonly packets: number
}

const Value = z.union([z.string(), z.number()])
const Listing = z.object({
  nftables: z.array(
    z.object({
      set: z
        .object({
          elem: z
            .array(
              z.object({
                elem: z.object({
                  val: z.union([Value, z.object({ concat: z.array(Value) })]),
                  counter: z.object({ packets: z.number() }),
                }),
              }),
            )
            .optional(),
        })
        .optional(),
    }),
  ),
})

const SETS = ['4', '6'].flatMap((family) =>
  ['all', 'protocols', 'ports', 'sources'].map((name) => name + family),
)

const COUNTERS = `table inet far-end {
${['4', '6'].map((family) => setsOf(family)).join('')}
  chain arrived {
    type filter hook prerouting priority -400
    iifname != "host0" return
${['4', '6'].map((family) => rulesOf(family)).join('')}
  }
}
`

function setsOf(family: string): string {
  const address = family === '4' ? 'ipv4_addr' : 'ipv6_addr'
  const types = {
    all: address,
    protocols: `${address} . inet_proto`,
    ports: `${address} . inet_proto . inet_service`,
    sources: `${address} . ${address}`,
  }
  return Object.entries(types)
    .map(([name, type]) => `  set ${name}${family} { type ${type}; flags dynamic; size 65535; }\n`)
    .join('')
}

function rulesOf(family: string): string {
  const ip = family === '4' ? 'ip' : 'ip6'
  return [
    `update @all${family} { ${ip} daddr counter }`,
    `update @protocols${family} { ${ip} daddr . meta l4proto counter }`,
    `update @sources${family} { ${ip} saddr . ${ip} daddr counter }`,
    `meta l4proto { tcp, udp } update @ports${family} { ${ip} daddr . meta l4proto . th dport counter }`,
  ]
    .map((rule) => `    ${rule}\n`)
    .join('')
}
