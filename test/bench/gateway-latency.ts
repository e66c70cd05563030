import { newNames, UPSTREAM, hostOf, writeQuestions, type DnsScene } from './dns-hosts.ts'
import { dnsperf, type AskedServer } from './dnsperf.ts'
import type { Finding, Scale } from './figure.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { median, told } from './spread.ts'

/** In each turn, one after the other. */
const QUESTIONS = 500

/** How much longer a container waits than if it asked the upstream itself. */
export async function addedLatency(scene: DnsScene, { rounds }: Scale): Promise<Finding[]> {
  const { lab } = scene
  const {
    clients: [client],
    server,
  } = hostOf(scene, 'embargod')
  if (!client) throw new Error('nobody asks')
  const contestant = (name: string, whom: AskedServer, namesOf: () => readonly string[]) => ({
    name,
    turn: async () => {
      const questions = await writeQuestions(lab, namesOf())
      return median(
        (await dnsperf(lab, { client, server: whom, questions, once: true, onTheWay: 1 })).delaysMs,
      )
    },
  })
  const again = newNames(QUESTIONS, true)
  const results = await inTurns(
    [
      contestant('upstream', UPSTREAM, () => newNames(QUESTIONS, true)),
      contestant('cached', server, () => again),
      contestant('known addresses', server, () => newNames(QUESTIONS, true)),
      contestant('new addresses', server, () => newNames(QUESTIONS, false)),
    ],
    rounds,
  )
  const direct = resultsOf(results, 'upstream')
  const added = (name: string, most: number): Finding => {
    const delays = resultsOf(results, name).map((delay, round) => delay - (direct[round] ?? Number.NaN))
    return {
      what: `added latency, p50: ${name}`,
      measured: told(delays, 'ms', 3),
      reach: `≤ ${most} ms`,
      met: median(delays) <= most,
    }
  }
  return [
    { what: 'latency, p50: the upstream asked directly', measured: told(direct, 'ms', 3) },
    added('cached', 0.5),
    added('known addresses', 0.5),
    added('new addresses', 2),
  ]
}
