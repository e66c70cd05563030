import { createServer, request as ask, type Server } from 'node:http'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import type { Lab } from './lab.ts'

/**
 * An engine that keeps its rules in nftables, as engines from 29 on can. The lab's engine is told to keep none in iptables; its tables are
 * written here, in the shape in which such an engine writes them, and its API says so.
 */
export class NftablesEngine {
  private constructor(
    private readonly lab: Lab,
    /** The engine's API, which names nftables. */
    readonly socket: string,
    private readonly server: Server,
  ) {}

  /** The flags that the lab's engine needs for it. */
  static readonly flags = ['--iptables=false', '--ip6tables=false', '--userland-proxy=false'] as const

  static async beside(lab: Lab): Promise<NftablesEngine> {
    const socket = join(lab.directory, 'nftables.sock')
    const server = createServer((asked, answer) => {
      const { method, url, headers } = asked
      const passed = ask({ socketPath: lab.engine.socket, method, path: url, headers }, (said) => {
        const isInfo = url?.split('?')[0]?.endsWith('/info') === true
        if (!isInfo) {
          answer.writeHead(said.statusCode ?? 500, said.headers)
          answer.flushHeaders()
          said.pipe(answer)
          return
        }
        const parts: Buffer[] = []
        said.on('data', (part: Buffer) => parts.push(part))
        said.on('end', () => {
          const info: object = JSON.parse(Buffer.concat(parts).toString())
          answer.writeHead(200, { 'Content-Type': 'application/json' })
          answer.end(JSON.stringify({ ...info, FirewallBackend: { Driver: 'nftables' } }))
        })
      })
      passed.on('error', () => answer.destroy())
      answer.on('close', () => passed.destroy())
      asked.pipe(passed)
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    return new NftablesEngine(lab, socket, server)
  }

  /** As the engine does at a start: its tables go and are made anew, with what there is by now. */
  async writeTables(): Promise<void> {
    const bridges = await this.bridges()
    const text = ([4, 6] as const).map((family) => tables(family, bridges)).join('')
    await this.lab.host(['nft', '-f', '-'], { input: text })
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
    await rm(this.socket, { force: true })
  }

  private async bridges(): Promise<readonly Bridge[]> {
    const { docker } = this.lab
    const [networks, containers] = await Promise.all([docker.listNetworks(), docker.listContainers()])
    return networks
      .filter(({ Driver }) => Driver === 'bridge')
      .map((network) => ({
        name: network.Options?.['com.docker.network.bridge.name'] ?? `br-${network.Id.slice(0, 12)}`,
        internal: network.Internal,
        subnets: (network.IPAM?.Config ?? []).flatMap(({ Subnet }) => Subnet ?? []),
        ports: containers.flatMap((container) => portsOn(container, network.Id)),
      }))
  }
}

interface Bridge {
  readonly name: string
  readonly internal: boolean
  readonly subnets: readonly string[]
  readonly ports: readonly { readonly address: string; readonly port: number; readonly hostPort: number }[]
}

function portsOn(container: Docker.ContainerInfo, networkId: string): Bridge['ports'] {
  const own = Object.values(container.NetworkSettings.Networks).find(
    ({ NetworkID }) => NetworkID === networkId,
  )
  if (!own) return []
  return container.Ports.flatMap(({ PrivatePort, PublicPort, IP }) =>
    PublicPort && !IP?.includes(':')
      ? [{ address: own.IPAddress, port: PrivatePort, hostPort: PublicPort }]
      : [],
  )
}

/** The tables of one family: the base chains, maps from a bridge to its chains, and four chains a bridge. */
function tables(family: 4 | 6, all: readonly Bridge[]): string {
  const ip = family === 4 ? 'ip' : 'ip6'
  const name = `${ip} docker-bridges`
  const own = (subnet: string): boolean => subnet.includes(':') === (family === 6)
  const bridges = all.filter(({ subnets }) => subnets.some(own))
  const map = (kind: string): string => {
    const elements = bridges.map((bridge) => `"${bridge.name}" : jump ${kind}__${bridge.name}`).join(', ')
    return `map ${kind}-jumps { type ifname : verdict; ${elements === '' ? '' : `elements = { ${elements} };`} }`
  }
  const ports =
    family === 4 ? bridges.flatMap(({ name: link, ports }) => ports.map((one) => ({ ...one, link }))) : []
  const loopback = family === 4 ? '127.0.0.0/8' : '::1'
  return [
    `table ${name} {}`,
    `delete table ${name}`,
    `table ${name} {`,
    ...bridges.flatMap(({ name: link, internal, subnets, ports: served }) => [
      `chain filter-forward-in__${link} {`,
      'ct state established,related counter accept',
      internal
        ? `iifname != "${link}" counter drop comment "INTERNAL NETWORK INGRESS"`
        : `iifname "${link}" counter accept comment "ICC"`,
      ...(family === 4
        ? served.map(({ address, port }) => `ip daddr ${address} tcp dport ${port} counter accept`)
        : []),
      internal ? 'counter accept comment "ICC"' : 'counter drop comment "UNPUBLISHED PORT DROP"',
      '}',
      `chain filter-forward-out__${link} {`,
      'ct state established,related counter accept',
      internal
        ? `oifname != "${link}" counter drop comment "INTERNAL NETWORK EGRESS"`
        : 'counter accept comment "OUTGOING"',
      '}',
      `chain nat-postrouting-in__${link} {}`,
      `chain nat-postrouting-out__${link} {`,
      ...(internal
        ? []
        : subnets
            .filter(own)
            .map(
              (subnet) =>
                `oifname != "${link}" ${ip} saddr ${subnet} counter masquerade comment "MASQUERADE"`,
            )),
      '}',
    ]),
    map('filter-forward-in'),
    map('filter-forward-out'),
    map('nat-postrouting-in'),
    map('nat-postrouting-out'),
    'chain filter-FORWARD {',
    'type filter hook forward priority filter; policy accept;',
    'oifname vmap @filter-forward-in-jumps',
    'iifname vmap @filter-forward-out-jumps',
    '}',
    'chain nat-prerouting-and-output {',
    ...ports.map(
      ({ link, address, port, hostPort }) =>
        `iifname != "${link}" tcp dport ${hostPort} counter dnat to ${address}:${port} comment "DNAT"`,
    ),
    '}',
    'chain nat-PREROUTING {',
    'type nat hook prerouting priority dstnat; policy accept;',
    'fib daddr type local counter jump nat-prerouting-and-output',
    '}',
    'chain nat-OUTPUT {',
    'type nat hook output priority -100; policy accept;',
    `${ip} daddr != ${loopback} fib daddr type local counter jump nat-prerouting-and-output`,
    '}',
    'chain nat-POSTROUTING {',
    'type nat hook postrouting priority srcnat; policy accept;',
    'iifname vmap @nat-postrouting-out-jumps',
    'oifname vmap @nat-postrouting-in-jumps',
    '}',
    'chain raw-PREROUTING {',
    'type filter hook prerouting priority raw; policy accept;',
    ...ports.map(
      ({ link, address }) =>
        `ip daddr ${address} iifname != "${link}" counter drop comment "DROP DIRECT ACCESS"`,
    ),
    '}',
    '}',
    '',
  ].join('\n')
}
