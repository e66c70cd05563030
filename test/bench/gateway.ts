import {
  answersASecond,
  forgetInDnsmasq,
  newNames,
  withDnsHosts,
  writeLists,
  type DnsHost,
  type DnsScene,
} from './dns-hosts.ts'
import type { Figure, Finding, Scale } from './figure.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { median, ratios, told } from './spread.ts'
import { addedLatency } from './gateway-latency.ts'
import { flood } from './gateway-flood.ts'
import { turns } from './gateway-turns.ts'

/** Of each client, for a second: more than anybody here answers. */
const NAMES_A_SECOND = 20_000
const CACHED_NAMES = 1_000

export const gateway: Figure = {
  name: 'gateway',
  title: 'The DNS gateway',
  method:
    'dnsperf in four containers at once, with 100 questions on their way together, each for names of its own; dnsmasq with `--ipset`, whose cache is emptied before each turn since it is several times slower with a full one, and a bare forwarder in Node, answer for a network that embargod leaves alone; all of them ask the same upstream, which is no more than a loop in Perl. Forwarded: no name is asked twice. New addresses: every answer has one that the kernel did not hold; known: all have one of the same four. Scattered: each question leaves by a socket of its own, as those of most programs do, and the names have 16 lengths, so that neither answers nor most questions can share their way through the kernel; else a client has one socket, as a resolver may have. Cached: 1,000 names round and round. Answers that the gateway withheld are not counted. Added latency: 500 questions a turn, one at a time, less what the upstream takes that the same container asks itself. The flood: one container asks for one new name with a new address after the other, 9,000 a second at the most, and another one for ten cached names, one at a time. The rotating name has a TTL of 1 s, and each connection is a curl of its own; both daemons begin with nothing known.',
  measure: (scale) =>
    withDnsHosts(async (scene) => [
      ...(await forwarded(scene, scale, { what: 'new addresses', known: false, least: 1.2 })),
      ...(await forwarded(scene, scale, { what: 'known addresses', known: true, least: 1.5 })),
      ...(await forwarded(scene, scale, { what: 'known, scattered', known: true, scattered: true })),
      ...(await cached(scene, scale)),
      ...(await addedLatency(scene, scale)),
      ...(await flood(scene, scale)),
      ...(await turns(scene, scale)),
    ]),
}

interface Forwarding {
  readonly what: string
  readonly known: boolean
  readonly least?: number
  /** As if every program in the containers asked one question: nothing that the kernel does can be shared by answers, and little by questions. */
  readonly scattered?: boolean
}

/** Names that nobody asked for before. */
async function forwarded(
  scene: DnsScene,
  { rounds, seconds }: Scale,
  { what, known, least, scattered = false }: Forwarding,
): Promise<Finding[]> {
  const { lab } = scene
  const hosts = scattered ? scene.hosts.filter(caches) : scene.hosts
  const results = await inTurns(
    hosts.map((host) => ({
      name: host.name,
      turn: async () => {
        if (host.name === 'dnsmasq') await forgetInDnsmasq(scene)
        const names = (): string[] => newNames(NAMES_A_SECOND * seconds, known, !scattered)
        const lists = await writeLists(lab, host, names)
        return answersASecond(lab, host, { lists, seconds, once: true, scattered })
      },
    })),
    rounds,
  )
  const of = (name: DnsHost['name']): readonly number[] => resultsOf(results, name)
  const shares = ratios(of('embargod'), of('dnsmasq'))
  return [
    ...hosts.map(({ name }) => ({ what: `forwarded, ${what}: ${name}`, measured: told(of(name), '/s', 0) })),
    {
      what: `forwarded, ${what}: embargod : dnsmasq`,
      measured: told(shares, ''),
      ...(least === undefined ? {} : { reach: `≥ ${least.toFixed(2)}`, met: median(shares) >= least }),
    },
  ]
}

const caches = ({ name }: DnsHost): boolean => name === 'embargod' || name === 'dnsmasq'

async function cached({ lab, hosts }: DnsScene, { rounds, seconds }: Scale): Promise<Finding[]> {
  const caching = hosts.filter(caches)
  const names = newNames(CACHED_NAMES, true)
  const results = await inTurns(
    caching.map((host) => ({
      name: host.name,
      turn: async () => {
        const lists = await writeLists(lab, host, () => names)
        return answersASecond(lab, host, { lists, seconds, once: false })
      },
    })),
    rounds,
  )
  const of = (name: DnsHost['name']): readonly number[] => resultsOf(results, name)
  const shares = ratios(of('embargod'), of('dnsmasq'))
  return [
    ...caching.map(({ name }) => ({ what: `cached: ${name}`, measured: told(of(name), '/s', 0) })),
    {
      what: 'cached: embargod : dnsmasq',
      measured: told(shares, ''),
      reach: '≥ 0.50',
      met: median(shares) >= 0.5,
    },
  ]
}
