import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Service } from '../lab/box.ts'
import type { Daemon } from '../lab/embargod.ts'
import { Lab } from '../lab/lab.ts'
import { dnsClients, dnsperf, type DnsClient, type AskedServer } from './dnsperf.ts'

const RESPONDER = fileURLToPath(new URL('responder.pl', import.meta.url))
const FORWARDER = fileURLToPath(new URL('forwarder-main.ts', import.meta.url))

/** The name server of the little internet that costs nothing. Not on port 53, so that a guarded container can ask it past the gateway. */
export const UPSTREAM: AskedServer = { address: '203.0.113.99', port: 5300 }
/** Of the network that embargod leaves alone, where the others answer. */
const OPEN_NETWORK = 'open'
const FORWARDER_PORT = 5301
const NO_SERVICE = ['--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root']
/** What dnsmasq puts addresses into. */
const DNSMASQ_SET = 'dnsmasq'
/** More than one turn fills: dnsmasq looks through all of a full cache for each new name. The gateway's is full from the first turn on. */
const CACHE_SIZE = 100_000
/** A container may ask so often, so that it takes several of them. */
const CLIENTS = 4
/** Of all clients together: what dnsperf takes by itself, and less than what dnsmasq does. */
const ON_THE_WAY = 100

const GATEWAY_CONFIG = [
  `dns: { gateway: true, ratePerContainer: 10000/second, upstreams: ["${UPSTREAM.address}:${UPSTREAM.port}"] }`,
  `guard: { except: [${OPEN_NETWORK}] }`,
  `allow: ['**.cold.example', { cidr: ${UPSTREAM.address}/32, ports: [${UPSTREAM.port}/udp] }]`,
].join('\n')

/** Somebody who answers, and those who ask. */
export interface DnsHost {
  readonly name: DnsHostName
  readonly clients: readonly DnsClient[]
  readonly server: AskedServer
}

export interface DnsScene {
  readonly lab: Lab
  readonly daemon: Daemon
  readonly dnsmasq: Service
  readonly hosts: readonly DnsHost[]
}

export type DnsHostName = 'embargod' | 'dnsmasq' | 'bare forwarder' | 'upstream'

/** One host with the gateway in front of a guarded network and the others in front of one that is left alone, all before the same upstream. */
export async function withDnsHosts<T>(work: (scene: DnsScene) => Promise<T>): Promise<T> {
  await using lab = await Lab.start({ name: 'bench-gateway' })
  // The lab's own counters would cost every packet something.
  await lab.internet(['nft', 'delete', 'table', 'inet', 'far-end'])
  lab.service('internet', ['perl', RESPONDER, UPSTREAM.address, String(UPSTREAM.port)])
  const open = await lab.network(OPEN_NETWORK)
  const { IPAM } = await open.inspect()
  const address = String(IPAM?.Config?.[0]?.['Gateway'])
  await lab.host(['ipset', 'create', DNSMASQ_SET, 'hash:ip', 'maxelem', '1000000'])
  const flags = [
    '--no-resolv',
    '--no-hosts',
    '--bind-interfaces',
    `--listen-address=${address}`,
    `--cache-size=${CACHE_SIZE}`,
    `--ipset=/cold.example/${DNSMASQ_SET}`,
    `--server=${UPSTREAM.address}#${UPSTREAM.port}`,
  ]
  const dnsmasq = lab.service('host', ['dnsmasq', ...NO_SERVICE, ...flags])
  const bare = [address, String(FORWARDER_PORT), UPSTREAM.address, String(UPSTREAM.port)]
  lab.service('host', [process.execPath, '--import', import.meta.resolve('tsx'), FORWARDER, ...bare])
  const daemon = await lab.daemon({ config: GATEWAY_CONFIG })
  const guarded = await dnsClients(lab, CLIENTS)
  const others = await dnsClients(lab, CLIENTS, OPEN_NETWORK)
  const hosts: DnsHost[] = [
    { name: 'embargod', clients: guarded, server: { address: UPSTREAM.address, port: 53 } },
    { name: 'dnsmasq', clients: others, server: { address, port: 53 } },
    { name: 'bare forwarder', clients: others, server: { address, port: FORWARDER_PORT } },
    { name: 'upstream', clients: others, server: UPSTREAM },
  ]
  for (const { name, clients, server } of hosts) {
    const questions = await writeQuestions(lab, ['k.ready.cold.example'])
    const answers = async (): Promise<boolean> => {
      const asked = clients.map((client) =>
        dnsperf(lab, { client, server, questions, once: true, onTheWay: 1 }),
      )
      return (await Promise.allSettled(asked)).every(({ status }) => status === 'fulfilled')
    }
    await lab.waitFor(`${name} answers`, answers, 30_000)
  }
  return await work({ lab, daemon, dnsmasq, hosts })
}

/** Questions for the IPv4 addresses of names, in a file that dnsperf reads. */
export async function writeQuestions(
  lab: Lab,
  names: readonly string[],
  file = 'questions',
): Promise<string> {
  const path = join(lab.directory, file)
  await writeFile(path, names.map((name) => `${name} A\n`).join(''))
  return path
}

let runs = 0

/** So many lengths have names that are not alike. */
const LENGTHS = 16

/**
 * Names that nobody asked for before. `known`: all of them have the same few addresses; else each has one that no other had. `alike`: nearly all have the same
 * length.
 */
export function newNames(count: number, known: boolean, alike = true): string[] {
  runs += 1
  const padding = (index: number): string => (alike ? '' : 'x'.repeat(index % LENGTHS))
  return Array.from(
    { length: count },
    (_, index) => `${known ? 'k' : 'w'}${index}${padding(index)}.r${runs}.cold.example`,
  )
}

/** dnsmasq as it was at its start: an empty cache and an empty set. */
export async function forgetInDnsmasq({ lab, dnsmasq }: DnsScene): Promise<void> {
  dnsmasq.signal('SIGHUP')
  await lab.host(['ipset', 'flush', DNSMASQ_SET])
  await sleep(200)
}

/**
 * Answered questions a second of all clients together, each of which asks for names of its own, once or round and round.
 * `scattered`: by as many sockets as questions are on their way, as many programs would; else each client has one.
 */
export async function answersASecond(
  lab: Lab,
  { clients, server }: DnsHost,
  {
    lists,
    seconds,
    once,
    scattered = false,
  }: { lists: readonly string[]; seconds: number; once: boolean; scattered?: boolean },
): Promise<number> {
  const onTheWay = ON_THE_WAY / clients.length
  const sockets = scattered ? onTheWay : 1
  const rates = clients.map(async (client, index) => {
    const questions = lists[index] ?? ''
    const { answered, seconds: took } = await dnsperf(lab, {
      client,
      server,
      questions,
      seconds,
      once,
      onTheWay,
      sockets,
    })
    return answered / took
  })
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0)
}

/** For each client of a host. */
export const writeLists = (
  lab: Lab,
  { clients }: DnsHost,
  namesOf: () => readonly string[],
): Promise<string[]> =>
  Promise.all(clients.map((_, index) => writeQuestions(lab, namesOf(), `questions-${index}`)))

export function hostOf({ hosts }: DnsScene, wanted: DnsHostName): DnsHost {
  const host = hosts.find(({ name }) => name === wanted)
  if (!host) throw new Error(`there is no ${wanted}`)
  return host
}
