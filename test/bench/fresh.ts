import { spawn, type ChildProcess } from 'node:child_process'
import type { Figure, Finding } from './figure.ts'
import { quantile } from './spread.ts'
import { IMAGE } from '../lab/image.ts'
import { Lab } from '../lab/lab.ts'
import { scrape } from '../lab/scrape.ts'
import { INET } from '../lab/topology.ts'

const COMMON = '203.0.113.10'
const WEB = '203.0.113.21'
const FORBIDDEN = '203.0.113.22'
const NAME = 'allowed.example'
/** Linux begins with one second. */
const SECOND_SYN_MS = 900

interface Way {
  readonly denyWith: 'drop' | 'reject'
  readonly to: keyof typeof URLS
  readonly start: 'plain' | 'renamed' | 'compose'
  readonly gateway?: boolean
  readonly holdNew?: string
}

/** What is asked for, by what gives the right to it. */
const URLS = {
  'common list': { policy: 'plain', url: `http://${COMMON}/` },
  'own policy': { policy: 'web', url: `http://${WEB}/` },
  metadata: { policy: 'role', url: `http://${INET.metadata}/` },
  name: { policy: 'web', url: `http://${NAME}/` },
} as const

const WAYS: readonly Way[] = [
  { denyWith: 'reject', to: 'common list', start: 'plain' },
  { denyWith: 'reject', to: 'own policy', start: 'plain' },
  { denyWith: 'reject', to: 'own policy', start: 'renamed' },
  { denyWith: 'reject', to: 'own policy', start: 'compose' },
  { denyWith: 'reject', to: 'metadata', start: 'plain' },
  { denyWith: 'drop', to: 'own policy', start: 'plain' },
  { denyWith: 'drop', to: 'common list', start: 'compose' },
  { denyWith: 'drop', to: 'metadata', start: 'compose' },
  { denyWith: 'reject', to: 'name', start: 'plain', gateway: true },
  { denyWith: 'reject', to: 'name', start: 'compose', gateway: true },
  { denyWith: 'drop', to: 'name', start: 'renamed', gateway: true },
  { denyWith: 'drop', to: 'own policy', start: 'renamed', gateway: true },
]
/** To be compared with. */
const UNHELD: readonly Way[] = [
  { denyWith: 'reject', to: 'own policy', start: 'plain', holdNew: '0' },
  { denyWith: 'drop', to: 'own policy', start: 'plain', holdNew: '0' },
]

export const fresh: Figure = {
  name: 'fresh',
  title: 'The first packet of a container',
  method:
    'Containers one after the other, whose first process connects at once, while both cores are busy with something else; as soon as it has connected it tries what it may not reach. Plain: created and started; renamed: in between; compose: a network of its own first, a name for the time being, the other name, a second network, the start. Time to connect as curl tells it, with the question for a name; the second packet of a connection comes after a second. What got through is counted at the far end.',
  async measure({ containers }) {
    await using lab = await Lab.start({ name: 'bench-fresh' })
    await lab.network('shop')
    await lab.inet.dns({ [NAME]: { a: [WEB], ttl: 60 } })
    const others = Array.from({ length: 2 }, () =>
      spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }),
    )
    try {
      const each = Math.ceil((containers * 0.3) / WAYS.length)
      const held: Taken[] = []
      const findings: Finding[] = []
      for (const way of [...WAYS, ...UNHELD]) {
        const taken = await take(lab, way, each)
        const isHeld = way.holdNew === undefined
        if (isHeld) held.push(taken)
        findings.push({ what: nameOf(way), measured: toldOf([taken]) })
        process.stderr.write(`  ${nameOf(way)}: ${toldOf([taken])}\n`)
      }
      return [...findings, ...judged(held)]
    } finally {
      end(others)
    }
  },
}

const nameOf = ({ to, denyWith, start, gateway = false, holdNew }: Way): string =>
  [to, denyWith, start, ...(gateway ? ['gateway'] : []), ...(holdNew === '0' ? ['nothing held'] : [])].join(
    ', ',
  )

const end = (processes: readonly ChildProcess[]): void => {
  for (const one of processes) one.kill('SIGKILL')
}

/** What came of the containers of one way. */
interface Taken {
  /** Infinite: it did not connect. */
  readonly connectMs: readonly number[]
  readonly held: number
  readonly leaked: number
}

async function take(lab: Lab, way: Way, count: number): Promise<Taken> {
  const daemon = await lab.daemon({ config: configOf(way) })
  const before = await lab.farEnd.count(FORBIDDEN)
  const connectMs: number[] = []
  for (let index = 0; index < count; index += 1) {
    connectMs.push(await connect(lab, way, index))
    process.stderr.write(`\r  ${nameOf(way)}: ${index + 1} of ${count}  `)
  }
  process.stderr.write('\n')
  const held = (await scrape(lab)).value('start_hold_total') ?? 0
  const leaked = (await lab.farEnd.count(FORBIDDEN)) - before
  await daemon.term()
  return { connectMs, held, leaked }
}

interface Sum {
  readonly all: number
  readonly failed: number
  readonly late: number
  readonly leaked: number
  readonly held: number
  /** Of those that connected. */
  readonly connected: readonly number[]
}

function sumOf(taken: readonly Taken[]): Sum {
  const all = taken.flatMap(({ connectMs }) => connectMs)
  const connected = all.filter((ms) => Number.isFinite(ms))
  return {
    all: all.length,
    failed: all.length - connected.length,
    late: connected.filter((ms) => ms >= SECOND_SYN_MS).length,
    leaked: taken.reduce((sum, { leaked }) => sum + leaked, 0),
    held: taken.reduce((sum, { held }) => sum + held, 0),
    connected,
  }
}

function toldOf(taken: readonly Taken[]): string {
  const { all, failed, late, leaked, held, connected } = sumOf(taken)
  const times =
    connected.length === 0
      ? ''
      : `, p50 ${quantile(connected, 0.5).toFixed(1)} ms, p99 ${quantile(connected, 0.99).toFixed(1)} ms`
  return `${failed} of ${all} failed, ${late} by the second packet${times}; ${held} packets held, ${leaked} got what they may not`
}

function judged(taken: readonly Taken[]): Finding[] {
  const { failed, late, leaked, connected } = sumOf(taken)
  const p50 = connected.length === 0 ? Number.POSITIVE_INFINITY : quantile(connected, 0.5)
  const p99 = connected.length === 0 ? Number.POSITIVE_INFINITY : quantile(connected, 0.99)
  return [
    { what: 'all that is held', measured: toldOf(taken) },
    { what: 'failed', measured: `${failed}`, reach: '0', met: failed === 0 },
    { what: 'waited for the second packet', measured: `${late}`, reach: '0', met: late === 0 },
    { what: 'got what they may not', measured: `${leaked}`, reach: '0', met: leaked === 0 },
    { what: 'p50', measured: `${p50.toFixed(1)} ms`, reach: '≤ 20 ms', met: p50 <= 20 },
    { what: 'p99', measured: `${p99.toFixed(1)} ms`, reach: '≤ 150 ms', met: p99 <= 150 },
  ]
}

async function connect(lab: Lab, { to, start }: Way, index: number): Promise<number> {
  const { url, policy } = URLS[to]
  const name = `${policy}-${index}`
  const isCompose = start === 'compose'
  const network = isCompose ? await lab.docker.createNetwork({ Name: `project-${index}` }) : undefined
  const container = await lab.docker.createContainer({
    Image: IMAGE,
    name: start === 'plain' ? name : `before-${index}`,
    Cmd: ['sh', '-c', `${fetchOf(url)} && curl -gs -o /dev/null -m 1 http://${FORBIDDEN}/; true`],
    HostConfig: { NetworkMode: isCompose ? `project-${index}` : 'shop' },
  })
  if (start !== 'plain') await container.rename({ name })
  if (isCompose) await lab.docker.getNetwork('shop').connect({ Container: container.id })
  await container.start()
  await container.wait()
  const log = await container.logs({ stdout: true, stderr: false })
  await container.remove({ force: true })
  await network?.remove()
  const [, seconds] = /(\d+\.\d+) \d+\.\d+/.exec(String(log)) ?? []
  const ms = Number(seconds) * 1000
  return ms > 0 ? ms : Number.POSITIVE_INFINITY
}

const fetchOf = (url: string): string =>
  `curl -gs -o /dev/null -m 4 -w '%{time_connect} %{time_namelookup}' ${url}`

const configOf = ({ denyWith, gateway = false, holdNew = '1s' }: Way): string => `
denyWith: ${denyWith}
guard: { holdNew: ${holdNew} }
dns: { gateway: ${gateway} }
allow: [{ cidr: ${COMMON}, ports: [80/tcp] }]
policies:
  web: { match: { container: 'web-*' }, allow: [{ cidr: ${WEB}, ports: [80/tcp] }, ${NAME}] }
  role: { match: { container: 'role-*' }, metadata: allow }
  others: { match: { container: 'others-*' }, allow: [{ cidr: ${FORBIDDEN}, ports: [80/tcp] }] }
`
