import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerOptions, LabContainer } from '../lab/container.ts'
import { Lab } from '../lab/lab.ts'
import { insertRules } from '../lab/rules.ts'
import { addressAt, writeList } from './many-addresses.ts'
import { startProxy } from './proxy.ts'

/** Where the servers of the little internet are. */
export const SERVER = { address: '203.0.113.10', iperfPort: 5201, webPort: 8081 } as const

/** A Docker host with one way of filtering, and a container that goes out through it. */
export interface TrafficHost {
  readonly name: TrafficHostName
  readonly client: LabContainer
  /** What the client connects to. */
  readonly target: string
}

export type TrafficHostName =
  | 'no filter'
  | 'embargod, 10'
  | 'embargod before, 10'
  | 'embargod, 100,000'
  | '5,000 rules'
  | 'nginx stream proxy'

/** Another build of the program, to be measured beside this one. */
const BEFORE = process.env['EMBARGOD_BENCH_BEFORE']

/** One host for each way of filtering, side by side, each with an engine and an internet of its own. */
export async function withTrafficHosts<T>(work: (hosts: readonly TrafficHost[]) => Promise<T>): Promise<T> {
  const labs: Lab[] = []
  const open = async (name: string): Promise<Lab> => {
    const lab = await Lab.start({ name: `bench-${name}` })
    labs.push(lab)
    await serve(lab)
    return lab
  }
  try {
    const bare = await open('bare')
    const few = await open('few')
    await enforce(few, 10)
    const many = await open('many')
    await enforce(many, 100_000)
    const before = BEFORE === undefined ? [] : [await openBefore(BEFORE, () => open('before'))]
    const rules = await open('rules')
    await handMadeRules(rules, 5_000)
    const proxied = await open('proxy')
    return await work([
      { name: 'no filter', client: await clientOf(bare), target: SERVER.address },
      { name: 'embargod, 10', client: await clientOf(few), target: SERVER.address },
      ...before,
      { name: 'embargod, 100,000', client: await clientOf(many), target: SERVER.address },
      { name: '5,000 rules', client: await clientOf(rules), target: SERVER.address },
      { name: 'nginx stream proxy', ...(await behindProxy(proxied)) },
    ])
  } finally {
    for (const lab of labs) await lab.stop()
  }
}

async function openBefore(program: string, open: () => Promise<Lab>): Promise<TrafficHost> {
  const lab = await open()
  process.env['EMBARGOD_LAB_PROGRAM'] = program
  try {
    await enforce(lab, 10)
  } finally {
    delete process.env['EMBARGOD_LAB_PROGRAM']
  }
  return { name: 'embargod before, 10', client: await clientOf(lab), target: SERVER.address }
}

/** Ports to spare: a client makes many thousand connections to one address. */
const SYSCTLS = { Sysctls: { 'net.ipv4.ip_local_port_range': '1024 65535' } }

export const clientOf = (
  lab: Lab,
  options: Pick<ContainerOptions, 'network' | 'name'> = {},
): Promise<LabContainer> => lab.container({ host: SYSCTLS, ...options })

/** Servers in the internet of a lab. */
export async function serve(lab: Lab): Promise<void> {
  // The lab's own counters would cost every packet something.
  await lab.internet(['nft', 'delete', 'table', 'inet', 'far-end'])
  // Thousands of closed connections a second would fill the tables of any host; the same for all.
  await lab.internet(['sysctl', '-qw', 'net.ipv4.tcp_max_tw_buckets=0'])
  await lab.host(['sysctl', '-qw', 'net.netfilter.nf_conntrack_tcp_timeout_time_wait=2'])
  lab.service('internet', ['iperf3', '-s', '-p', String(SERVER.iperfPort)])
  const conf = join(lab.directory, 'web.conf')
  await writeFile(conf, webConf(lab.directory))
  lab.service('internet', ['nginx', '-e', 'stderr', '-c', conf])
}

const webConf = (directory: string): string => `
daemon off;
user root;
worker_processes 1;
pid ${directory}/web.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_timeout 0;
  client_body_temp_path ${directory}/web-body;
  proxy_temp_path ${directory}/web-proxy;
  fastcgi_temp_path ${directory}/web-fastcgi;
  uwsgi_temp_path ${directory}/web-uwsgi;
  scgi_temp_path ${directory}/web-scgi;
  server { listen ${SERVER.webPort} backlog=4096; return 200 "ok\\n"; }
}
`

async function enforce(lab: Lab, addresses: number): Promise<void> {
  const others = Array.from({ length: addresses - 1 }, (_, index) => addressAt(index))
  const file = await writeList(lab, 'addresses.txt', [...others, SERVER.address])
  await lab.daemon({
    config: `allow: [{ file: ${file}, ports: [${SERVER.iperfPort}/tcp, ${SERVER.webPort}/tcp] }]`,
  })
}

/** As people write them: live connections first, one rule an address, then the drop. The wanted one stands in the middle. */
async function handMadeRules(lab: Lab, count: number): Promise<void> {
  const addresses = Array.from({ length: count }, (_, index) =>
    index === count / 2 ? SERVER.address : addressAt(index),
  )
  await insertRules(lab, 4, 'DOCKER-USER', [
    '-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN',
    ...addresses.map((address) => `-i docker0 -d ${address} -j RETURN`),
    '-i docker0 -j DROP',
  ])
}

async function behindProxy(lab: Lab): Promise<{ client: LabContainer; target: string }> {
  await lab.network('inside', { internal: true })
  const proxy = await lab.container()
  await proxy.connectTo('inside')
  const [, inside] = (await proxy.addresses()).ipv4
  const outer = (await proxy.addresses()).ipv4.find((address) => address.startsWith('172.17.'))
  const target = (await proxy.addresses()).ipv4.find((address) => address !== outer) ?? inside
  if (target === undefined) throw new Error('the proxy has no address on the internal network')
  await startProxy(lab, proxy, [SERVER.iperfPort, SERVER.webPort], SERVER.address)
  return { client: await clientOf(lab, { network: 'inside' }), target }
}
