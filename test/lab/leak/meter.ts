import { setTimeout as sleep } from 'node:timers/promises'
import type { Disturbance } from './disturbance.ts'
import type { Guard, MeterHost } from './host.ts'
import { arrivedBetween, type Requests } from './traffic.ts'

/** What was counted from just before a disturbance until the host was whole again. */
export interface Reading {
  readonly seconds: number
  readonly sent: { readonly ipv4: number; readonly ipv6: number; readonly odd: number }
  readonly leaked: {
    readonly ipv4: number
    readonly ipv6: number
    readonly byAddress: ReadonlyMap<string, number>
  }
  readonly requests: {
    readonly fetched: number
    /** Of those fetched the ones that took a second: the first packet was lost and sent again. */
    readonly late: number
    readonly failed: number
    /** Times that something came on a connection that was open all the while. */
    readonly heard: number
    readonly why: readonly string[]
  }
  /** From the end of a step of the disturbance until our rules were seen to stand as before; looking takes some 40 ms. */
  readonly wholeMs: number
}

/** Disturbs the host once and counts. Rejects when the disturbance cannot be done, or the host is never whole again. */
export async function read(host: MeterHost, disturbance: Disturbance): Promise<Reading> {
  const { traffic } = host
  await host.expectWhole()
  const before = await look(host)
  const fromMs = performance.now()
  await disturbance.run(host)
  await host.whole()
  // What is on its way arrives, and requests that began in time are decided.
  await sleep(300)
  const middle = await traffic.requests()
  await decided(host, middle)
  const after = await look(host)
  const sum = (key: 'fetched' | 'failed' | 'late' | 'heard') =>
    after.requests.reduce((total, one, index) => total + one[key] - (before.requests[index]?.[key] ?? 0), 0)
  return {
    seconds: (performance.now() - fromMs) / 1000,
    sent: {
      ipv4: after.sent.ipv4 - before.sent.ipv4,
      ipv6: after.sent.ipv6 - before.sent.ipv6,
      odd: after.sent.odd - before.sent.odd,
    },
    leaked: arrivedBetween(before.arrived, after.arrived),
    requests: {
      fetched: sum('fetched'),
      late: sum('late'),
      heard: sum('heard'),
      failed: sum('failed'),
      why: after.requests.flatMap(({ failures }, index) =>
        failures.slice(before.requests[index]?.failures.length ?? 0),
      ),
    },
    wholeMs: host.wholeMs,
  }
}

/** Why a reading is no proof of what it seems to show, or shows a leak or a failure of ours; empty when all is as it has to be. */
export function faultsOf(disturbance: Disturbance, reading: Reading, guard: Guard): readonly string[] {
  const { leaked, requests, seconds, sent } = reading
  const faults: string[] = []
  // Far below what a busy machine sends. Where the containers are ended, it takes as long as it takes until they send again.
  const floor = disturbance.cuts === undefined ? Math.max(100, 100 * seconds) : 100
  for (const family of ['ipv4', 'ipv6'] as const)
    if (sent[family] < floor)
      faults.push(`only ${sent[family]} packets sent in ${seconds.toFixed(1)} s, ${family}`)
  // What a script lets out, or breaks, is for people to read.
  if (guard === 'script') return faults
  if (guard === 'nobody') {
    for (const family of ['ipv4', 'ipv6'] as const)
      if (leaked[family] === 0) faults.push(`without guards no packet arrived, ${family}`)
    return faults
  }
  const total = leaked.ipv4 + leaked.ipv6
  const rate = (sent.ipv4 + sent.ipv6) / seconds
  const mayLeak = ((disturbance.window?.ms ?? 0) / 1000) * rate
  if (total > mayLeak) faults.push(`${total} packets leaked: ${[...leaked.byAddress].join(' ')}`)
  if (requests.failed > 0 && disturbance.cuts === undefined)
    faults.push(`${requests.failed} allowed requests failed: ${requests.why.slice(0, 10).join('; ')}`)
  if (requests.heard === 0) faults.push('nothing came on the connections that stay')
  if (requests.fetched === 0) faults.push('no allowed request was answered')
  return faults
}

async function look(host: MeterHost) {
  const { traffic } = host
  const [sent, arrived, requests] = await Promise.all([traffic.sent(), traffic.arrived(), traffic.requests()])
  return { sent, arrived, requests }
}

/** A request is given up after three seconds; a client whose container is away decides nothing. */
async function decided(host: MeterHost, begun: readonly Requests[]): Promise<void> {
  for (let waitedMs = 0; waitedMs < 4000; waitedMs += 50) {
    const now = await host.traffic.requests()
    if (now.every(({ decided }, index) => decided >= (begun[index]?.begun ?? 0))) return
    await sleep(50)
  }
}
