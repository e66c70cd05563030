import { cpuMs } from './cpu.ts'
import { answersASecond, hostOf, newNames, withDnsHosts, writeLists, type DnsScene } from './dns-hosts.ts'
import type { Figure, Finding, Scale } from './figure.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { ratios, told } from './spread.ts'

/** Another build of the program, to be measured beside this one. */
const BEFORE = process.env['EMBARGOD_BENCH_BEFORE']
/** Of each client, for a second: more than a gateway answers. */
const NAMES_A_SECOND = 20_000
const CACHED_NAMES = 1_000

interface Kind {
  readonly what: string
  readonly known: boolean
  readonly scattered: boolean
  readonly cached: boolean
}

const KINDS: readonly Kind[] = [
  { what: 'new addresses', known: false, scattered: false, cached: false },
  { what: 'known addresses', known: true, scattered: false, cached: false },
  { what: 'known, scattered', known: true, scattered: true, cached: false },
  { what: 'cached', known: true, scattered: false, cached: true },
]

export const builds: Figure = {
  name: 'builds',
  title: 'The DNS gateway beside another build of it',
  method:
    'Two hosts, one with each build, answer the same questions in turns, as in the figure of the gateway. The other build is named by `EMBARGOD_BENCH_BEFORE`. CPU time is that of the daemon and its children.',
  measure: async (scale) => {
    if (BEFORE === undefined)
      return [{ what: 'the other build', measured: 'none is named by EMBARGOD_BENCH_BEFORE' }]
    return withBuild(BEFORE, (before) =>
      withDnsHosts(async (now) => {
        const findings: Finding[] = []
        for (const kind of KINDS) findings.push(...(await compare(kind, now, before, scale)))
        return findings
      }),
    )
  },
}

async function withBuild<T>(program: string, work: (scene: DnsScene) => Promise<T>): Promise<T> {
  process.env['EMBARGOD_LAB_PROGRAM'] = program
  return withDnsHosts((scene) => {
    delete process.env['EMBARGOD_LAB_PROGRAM']
    return work(scene)
  })
}

async function compare(
  kind: Kind,
  now: DnsScene,
  before: DnsScene,
  { rounds, seconds }: Scale,
): Promise<Finding[]> {
  const { what, known, scattered, cached } = kind
  const costs = { now: [] as number[], before: [] as number[] }
  const few = cached ? newNames(CACHED_NAMES, true, !scattered) : undefined
  const contestant = (name: 'now' | 'before', scene: DnsScene) => ({
    name,
    turn: async (): Promise<number> => {
      const host = hostOf(scene, 'embargod')
      const names = (): readonly string[] => few ?? newNames(NAMES_A_SECOND * seconds, known, !scattered)
      const lists = await writeLists(scene.lab, host, names)
      const { pid } = scene.daemon
      const usedMs = (): number => (pid === undefined ? Number.NaN : cpuMs(pid))
      const startMs = usedMs()
      const rate = await answersASecond(scene.lab, host, { lists, seconds, once: !cached, scattered })
      costs[name].push(((usedMs() - startMs) * 1_000) / (rate * seconds))
      return rate
    },
  })
  const results = await inTurns([contestant('now', now), contestant('before', before)], rounds)
  const rates = ratios(resultsOf(results, 'now'), resultsOf(results, 'before'))
  // The first turn of each warmed up.
  const cost = ratios(costs.now.slice(1), costs.before.slice(1))
  return [
    { what: `answers a second, ${what}: this build : the other`, measured: told(rates, '') },
    { what: `CPU time an answer, ${what}: this build : the other`, measured: told(cost, '') },
  ]
}
