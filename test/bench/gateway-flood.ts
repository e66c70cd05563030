import { setTimeout as sleep } from 'node:timers/promises'
import { setSizes } from '../lab/witness.ts'
import { rssMb } from './cpu.ts'
import { hostOf, newNames, writeQuestions, type DnsScene } from './dns-hosts.ts'
import { dnsperf } from './dnsperf.ts'
import type { Finding, Scale } from './figure.ts'
import { quantile } from './spread.ts'

/** Below what a container may ask a second. */
const A_SECOND = 9_000
const SETTLED_MS = 3_000

/** One container that asks for one new name after the other as fast as it may, and what is left of it. */
export async function flood(scene: DnsScene, { flood: count }: Scale): Promise<Finding[]> {
  const { lab, daemon } = scene
  const {
    clients: [flooder, other],
    server,
  } = hostOf(scene, 'embargod')
  const { pid } = daemon
  if (!flooder || !other || pid === undefined) throw new Error('the daemon has ended')
  const cached = await writeQuestions(lab, newNames(10, true), 'cached')
  const ask = async (seconds: number): Promise<readonly number[]> =>
    (await dnsperf(lab, { client: other, server, questions: cached, once: false, seconds, onTheWay: 1 }))
      .delaysMs
  const calm = await ask(2)
  const memory = [rssMb(pid)]
  const delays: number[] = []
  for (const half of [1, 2]) {
    const questions = await writeQuestions(lab, newNames(count / 2, false), `flood-${half}`)
    const until = new AbortController()
    const options = { client: flooder, server, questions, once: true, onTheWay: 100, aSecond: A_SECOND }
    const flooding = dnsperf(lab, options).finally(() => until.abort())
    const asking = async (): Promise<void> => {
      while (!until.signal.aborted) delays.push(...(await ask(1)))
    }
    await Promise.all([flooding, asking()])
    await sleep(SETTLED_MS)
    memory.push(rssMb(pid))
  }
  const elements = [...(await setSizes(lab)).values()].reduce((sum, size) => sum + size, 0)
  const [before = 0, between = 0, after = 0] = memory
  const both = (values: readonly number[]): string =>
    `p50 ${quantile(values, 0.5).toFixed(2)} ms, p99 ${quantile(values, 0.99).toFixed(2)} ms`
  const names = count.toLocaleString('en')
  return [
    { what: `memory before ${names} names of one container`, measured: `${before.toFixed(0)} MB` },
    { what: 'memory after the first half of them', measured: `${between.toFixed(0)} MB` },
    {
      what: 'memory after all of them',
      measured: `${after.toFixed(0)} MB`,
      reach: '≤ 1.2 × that after half',
      met: after <= 1.2 * between,
    },
    { what: 'elements of all sets after them', measured: elements.toLocaleString('en') },
    { what: 'a cached question of another container before', measured: both(calm) },
    { what: 'a cached question of another container meanwhile', measured: both(delays) },
  ]
}
