import { setTimeout as sleep } from 'node:timers/promises'
import { familyOf, type Address, type Cidr, type Family } from '../net/types.ts'
import { bytesOf, formatAddress } from '../net/address.ts'
import type { Run } from '../system/exec.ts'

/** An endpoint of our own on a bridge: a namespace with an address of the network and a route through its gateway. */
export class ProbeEndpoint {
  private constructor(
    private readonly run: Run,
    private readonly namespace: string,
    private readonly port: string,
  ) {}

  static async open(
    run: Run,
    bridge: string,
    sources: readonly { readonly address: Address; readonly prefix: number; readonly gateway: Address }[],
    id: number,
  ): Promise<ProbeEndpoint> {
    const namespace = `embargod-verify-${id}`
    // Named as the engine names container ports, for that is what it is to the rules.
    const endpoint = new ProbeEndpoint(run, namespace, `veth${(0xe00_0000 + (id % 0x100_0000)).toString(16)}`)
    try {
      await run(['ip', 'netns', 'add', namespace])
      await run([
        'ip',
        'link',
        'add',
        endpoint.port,
        'type',
        'veth',
        'peer',
        'name',
        'eth0',
        'netns',
        namespace,
      ])
      await run(['ip', 'link', 'set', endpoint.port, 'master', bridge, 'up'])
      await run(['ip', '-n', namespace, 'link', 'set', 'eth0', 'up'])
      for (const { address, prefix, gateway } of sources) {
        // Without `nodad` the address could not be used for a second.
        const nodad = familyOf(address) === 6 ? ['nodad'] : []
        await run(['ip', '-n', namespace, 'address', 'add', `${address}/${prefix}`, 'dev', 'eth0', ...nodad])
        await run(['ip', '-n', namespace, `-${familyOf(address)}`, 'route', 'add', 'default', 'via', gateway])
      }
      for (const { gateway } of sources) await endpoint.awaitNeighbour(gateway)
      return endpoint
    } catch (error) {
      await endpoint.close()
      throw error
    }
  }

  /** Sends the first packet of a connection, if it gets to it in time; what comes back does not matter. */
  async send(protocol: 'tcp' | 'udp', address: Address, port: number, seconds: number): Promise<void> {
    const script = protocol === 'tcp' ? 'exec 3<>"/dev/tcp/$1/$2"' : 'echo probe >"/dev/udp/$1/$2"'
    const inside = ['timeout', String(seconds), 'bash', '-c', script, 'probe', address, String(port)] as const
    // 124: no answer in time, which is what a dropped packet gets; 1: refused.
    await this.run(['ip', 'netns', 'exec', this.namespace, ...inside], { okExitCodes: [1, 124] })
  }

  /** Waits until the gateway is known as a neighbour: a fresh port and a fresh address are not of use at once. */
  private async awaitNeighbour(gateway: Address): Promise<void> {
    for (let tries = 0; tries < NEIGHBOUR_TRIES; tries += 1) {
      await this.send('udp', gateway, DISCARD_PORT, 2)
      const { stdout } = await this.run(['ip', '-n', this.namespace, 'neighbour', 'show', gateway])
      if (stdout.includes('lladdr')) return
      await sleep(100)
    }
    throw new Error(`the gateway ${gateway} does not answer on its own network`)
  }

  async close(): Promise<void> {
    await this.run(['ip', 'link', 'delete', this.port], { okExitCodes: [1, 2] })
    await this.run(['ip', 'netns', 'delete', this.namespace], { okExitCodes: [1, 2] })
  }
}

const NEIGHBOUR_TRIES = 30
const DISCARD_PORT = 9

/** The highest address of a subnet that nobody has: engines hand out the lowest first. Undefined: there is none. */
export function freeAddress(
  subnet: Cidr,
  taken: ReadonlySet<Address>,
): { address: Address; prefix: number; family: Family } | undefined {
  const [base = '', length] = subnet.split('/')
  const family = familyOf(subnet)
  const bits = family === 4 ? 32 : 128
  const prefix = Number(length ?? bits)
  if (bits - prefix < 2) return undefined
  const bytes = bytesOf(base as Address)
  const highest = bytes.map(
    (byte, index) => byte | (0xff & (2 ** Math.min(8, Math.max(0, (index + 1) * 8 - prefix)) - 1)),
  )
  // The very last of IPv4 is the broadcast address.
  for (let below = 1; below < 250; below++) {
    const candidate = [...highest]
    candidate[candidate.length - 1] = (candidate.at(-1) ?? 0) - below
    if ((candidate.at(-1) ?? 0) <= (bytes.at(-1) ?? 0)) return undefined
    const address = formatAddress(candidate)
    if (!taken.has(address)) return { address, prefix, family }
  }
  return undefined
}
