import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Family } from '../../src/net/types.ts'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import type { Lab } from './lab.ts'
import { leaksDuring, steadyFlood } from './leaks.ts'
import { origin, reached } from './reach.ts'
import { scrape } from './scrape.ts'

/** What one kind of host is asked, from outside: do packets arrive, and what do status, metric and log say of it. */

const FORBIDDEN = { 4: '203.0.113.66', 6: '2001:db8:f::66' } as const
const ALLOWED = { 4: '203.0.113.12', 6: '2001:db8:f::12' } as const

/** What `holds` expects to be allowed, and nothing else. */
export const ALLOWS = `allow:
  - { cidr: ${ALLOWED[4]}, ports: [80/tcp] }
  - { cidr: '${ALLOWED[6]}', ports: [80/tcp] }`

const forbidden = (families: readonly Family[]) => [
  ...families.map((family) => origin(FORBIDDEN[family])),
  ...families.map((family) => origin(ALLOWED[family], 443)),
  ...(families.includes(4) ? [origin('169.254.169.254')] : []),
]
const allowed = (families: readonly Family[]) => families.map((family) => origin(ALLOWED[family]))

/** Without a guard all of it arrives: else what `holds` says would mean nothing. */
export async function isOpen(
  lab: Lab,
  from: LabContainer,
  families: readonly Family[] = [4, 6],
): Promise<void> {
  const all = [...allowed(families), ...forbidden(families)]
  expect(await reached(from, all), 'without a guard').toEqual(all)
  expect(await leaksDuring(lab, from, async () => undefined, { seconds: 1, families })).toBeGreaterThan(
    900 * families.length,
  )
}

/** A flood of what is forbidden does not arrive, while something happens to the host; what is allowed answers afterwards. */
export async function holds(
  lab: Lab,
  from: LabContainer,
  families: readonly Family[] = [4, 6],
  disturb: () => Promise<unknown> = () => sleep(500),
): Promise<void> {
  const flood = await steadyFlood(lab, from, families)
  await sleep(300)
  await disturb()
  expect(await flood.stop(), 'packets at the far end').toBe(0)
  expect(await reached(from, [...allowed(families), ...forbidden(families)], { seconds: 2 })).toEqual(
    allowed(families),
  )
}

export interface HostStatus {
  readonly health: string
  readonly problems: readonly string[]
  readonly backend: { readonly flavour: string }
  readonly guards: readonly { readonly guard: string; readonly enforcing: boolean }[]
  readonly networks: readonly {
    readonly name: string
    readonly bridge: string
    readonly guarded: boolean
    readonly deniedPackets: number
    readonly why: string
  }[]
  readonly unprotected: readonly {
    readonly reason: string
    readonly subject: string
    readonly advice: string
  }[]
}

export const statusOf = async (lab: Lab): Promise<HostStatus> =>
  JSON.parse((await lab.cli(['status', '--json'])).stdout)

/** What status, log and metric name as unprotected, `reason subject`, without the hole that every host has. Rejects when they differ. */
export async function named(lab: Lab, daemon: Daemon): Promise<readonly string[]> {
  const found = (await statusOf(lab)).unprotected.filter(({ reason }) => reason !== 'dns-tunnel')
  const page = await scrape(lab)
  for (const { reason, subject } of found) {
    const count = found.filter((one) => one.reason === reason).length
    expect(page.value('unprotected', { reason }), `the metric of ${reason}`).toBe(count)
    expect(
      logLines(daemon.logs).some(
        (line) => line.msg === 'not protected' && line.reason === reason && line.subject === subject,
      ),
      `the log of ${reason} ${subject}`,
    ).toBe(true)
  }
  return found.map(({ reason, subject }) => `${reason} ${subject}`.trim()).toSorted()
}

const logLines = (
  log: string,
): readonly { readonly msg?: string; readonly reason?: string; readonly subject?: string }[] =>
  log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))

/** What was wrong is noticed to be over. */
export const heals = (lab: Lab): Promise<void> =>
  lab.waitFor('nothing is wrong', async () => (await statusOf(lab)).problems.length === 0, 30_000)

/** Both guards stand and nothing is wrong. */
export async function isWhole(lab: Lab): Promise<void> {
  const { problems, guards } = await statusOf(lab)
  expect(problems).toEqual([])
  expect(guards.map(({ guard, enforcing }) => `${guard} ${enforcing}`)).toEqual([
    'rules true',
    'backstop true',
  ])
  // Legacy iptables tells of no change: it is looked at every few seconds.
  await lab.waitFor(
    'there is nothing to do',
    async () => /nothing to do/i.test((await lab.cli(['plan', '--config', lab.embargod.configFile])).stdout),
    15_000,
  )
}
