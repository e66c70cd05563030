import { readFileSync } from 'node:fs'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { linesSince, setSizes } from './witness.ts'

/**
 * A container with the default rights, raw sockets among them, tries to use up what all share: mail budgets, ports to the name
 * server, the connection table, the log, the sets. Its neighbour on the same network keeps its service.
 */
const lab = useLab({ name: 'hostile' })

const MAIL = '203.0.113.25'
const MAIL6 = '2001:db8:f::25'
const PAGE = '203.0.113.10'
const FORBIDDEN = '203.0.113.66'
/** A name server to containers; nobody listens there, so that no server is the bottleneck. */
const RESOLVER = '203.0.113.77'

let hostile: LabContainer
let neighbour: LabContainer

beforeAll(async () => {
  // Long enough for the slowest machine to fill what can be filled.
  await lab().host(['sysctl', '-qw', 'net.netfilter.nf_conntrack_udp_timeout=120'])
})
beforeEach(async () => {
  // What the daemon of the test before left in force.
  await lab().cli(['cleanup', '--yes'])
  await lab().host(['conntrack', '-F'])
  hostile = await inside(lab())
  neighbour = await inside(lab())
  await lab().farEnd.reset()
})

const send = async (from: LabContainer, command: string): Promise<void> => {
  const { code, stderr } = await from.exec(['sender', ...command.split(' ')], { timeoutMs: 90_000 })
  if (code !== 0) throw new Error(`${command}: ${stderr}`)
}

const connections = async (): Promise<number> =>
  Number((await lab().host(['cat', '/proc/sys/net/netfilter/nf_conntrack_count'])).stdout)

/** Pages that did not come, of 20 a second. */
async function failures(from: LabContainer, seconds: number): Promise<number> {
  const fetch = `(curl -s -o /dev/null --max-time 5 http://${PAGE}/ || echo failed) &`
  const script = `i=0; while [ $i -lt ${20 * seconds} ]; do ${fetch} i=$((i+1)); sleep 0.05; done; wait`
  const { stdout } = await from.exec(['sh', '-c', script], { timeoutMs: 60_000 })
  return stdout.split('\n').filter((line) => line === 'failed').length
}

async function mails(from: LabContainer, count: number, to: string): Promise<number> {
  const each = `echo QUIT | nc -w 3 ${to} 25 | grep -c ^220`
  const { stdout } = await from.exec(['sh', '-c', `for i in $(seq ${count}); do ${each}; done`], {
    timeoutMs: 60_000,
  })
  return stdout.split('\n').filter((line) => line === '1').length
}

/** Sources that the kernel keeps an account of, by the account's name. */
async function accounts(): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await lab().host(['sh', '-c', 'wc -l /proc/net/ip*t_hashlimit/*'])
  const found = stdout.matchAll(/(\d+) \/proc\/net\/(ip6?t)_hashlimit\/(\S+)/g)
  return new Map([...found].map(([, lines, family, name]) => [`${family} ${name}`, Number(lines)]))
}

test('addresses that are no container share one mail budget, and the account of budgets stays small', async () => {
  const [v6 = ''] = (await hostile.addresses()).ipv6
  const forged6 = `${v6.slice(0, v6.lastIndexOf(':'))}:9000`
  const floods = (spread: number, rate: number) => [
    `flood --proto=syn --port=25 --dst=${MAIL} --rate=${rate} --seconds=1 --src=172.17.16.0 --spread=${spread}`,
    `flood --proto=syn --port=25 --dst=${MAIL6} --rate=${rate} --seconds=1 --src=${forged6} --spread=${spread}`,
  ]
  // Few: the host looks for each of them on the wire when an answer comes.
  for (const command of floods(100, 100)) await send(hostile, command)
  expect(await lab().farEnd.count(MAIL, { proto: 'tcp', port: 25 })).toBe(100)
  expect(await lab().farEnd.count(MAIL6, { proto: 'tcp', port: 25 })).toBe(100)

  await guard(lab(), {
    config: `allow: [{ cidr: ${MAIL}/32, ports: [25/tcp] }, { cidr: '${MAIL6}/128', ports: [25/tcp] }]\nsmtp: { rate: 5/hour, burst: 5 }`,
  })
  await lab().farEnd.reset()
  for (const command of floods(10_000, 10_000)) await send(hostile, command)
  expect(await lab().farEnd.count(MAIL, { proto: 'tcp', port: 25 })).toBe(5)
  expect(await lab().farEnd.count(MAIL6, { proto: 'tcp', port: 25 })).toBe(5)
  for (const [name, entries] of await accounts())
    if (name.includes('mail')) expect(entries, name).toBeLessThanOrEqual(5)

  for (const to of [MAIL, MAIL6]) {
    expect(await mails(neighbour, 6, to)).toBe(5)
    expect(await mails(hostile, 6, to), 'what it forged was not taken from its own').toBe(5)
  }
  const late = await inside(lab())
  const [address = ''] = (await late.addresses()).ipv4
  await lab().waitFor('the engine told of the new one', async () =>
    (await lab().host(['ipset', 'list', 'embargod-containers-4'])).stdout.includes(`\n${address} `),
  )
  expect(await mails(late, 6, MAIL)).toBe(5)
})

test('a flood of questions leaves ports to the name server for the others and for the host', async () => {
  const arrived = (): Promise<number> => lab().farEnd.count(RESOLVER, { proto: 'udp', port: 53 })
  const flood = (packets: number): string =>
    `flood --proto=udp --dst=${RESOLVER} --port=53 --rate=${packets} --seconds=1`
  const few = `flood --proto=udp --dst=${RESOLVER} --port=53 --rate=20 --seconds=1`
  const asksInPeace = async (): Promise<number> => {
    const before = await arrived()
    await send(neighbour, few)
    return (await arrived()) - before
  }
  expect(await asksInPeace()).toBe(20)
  // One from every port that there is.
  await send(hostile, flood(66_000))
  expect(await asksInPeace()).toBe(0)
  await lab().host(['conntrack', '-F'])

  await guard(lab(), { config: `dns: { servers: [${RESOLVER}] }` })
  await lab().farEnd.reset()
  const startedMs = Date.now()
  await send(hostile, flood(15_000))
  // The clock of the kernel's budget and ours are not the same.
  const most = 1000 + 200 * ((Date.now() - startedMs) / 1000 + 1)
  expect(await arrived()).toBeGreaterThanOrEqual(1000)
  expect(await arrived()).toBeLessThan(most)
  expect(await asksInPeace()).toBe(20)

  // In the name of others, which all together are no more than one.
  await lab().farEnd.reset()
  await send(hostile, `${flood(15_000)} --src=172.17.16.0 --spread=20000`)
  expect(await arrived()).toBeGreaterThanOrEqual(1000)
  expect(await connections()).toBeLessThan(14_000)
  expect(await asksInPeace()).toBe(20)
  for (const [name, entries] of await accounts())
    if (name.includes('dns')) expect(entries, name).toBeLessThanOrEqual(10)
})

test('what is denied takes no connections, no lines of the log, no elements', async () => {
  const own = `flood --proto=udp --dst=${FORBIDDEN} --rate=10000 --seconds=2`
  await send(hostile, own)
  expect(await lab().farEnd.count(FORBIDDEN)).toBe(20_000)
  expect(await connections()).toBeGreaterThanOrEqual(20_000)
  await lab().host(['conntrack', '-F'])
  await lab().farEnd.reset()

  const daemon = await guard(lab(), { config: `allow: [{ cidr: ${PAGE}/32, ports: [80/tcp] }]` })
  const [said, sizes] = [daemon.logs.length, await setSizes(lab())]
  const busyBefore = cpuSeconds(daemon)
  const startedMs = Date.now()
  const [failed] = await Promise.all([
    failures(neighbour, 6),
    (async () => {
      for (const name of ['', ' --src=172.17.16.0 --spread=20000', ' --src=10.66.0.0 --spread=20000'])
        await send(hostile, `${own}${name}`)
    })(),
  ])
  const seconds = (Date.now() - startedMs) / 1000
  expect(failed).toBe(0)
  expect(await lab().farEnd.count(FORBIDDEN)).toBe(0)
  // The neighbour's own, and what the lab asks.
  expect(await connections()).toBeLessThan(1000)
  expect(await setSizes(lab())).toEqual(sizes)
  expect(linesSince(daemon, said).length).toBeLessThanOrEqual(3)
  expect(cpuSeconds(daemon) - busyBefore).toBeLessThan(seconds / 2)
})

test('a right is taken away from 15,000 connections at once, and nothing of it is left', async () => {
  const [own = ''] = (await hostile.addresses()).ipv4
  const target = '203.0.113.130'
  const everyPort = `forge --src=${own} --sport=4444 --dst=${target} --ports=1024-16023 --payload=00`
  const page = `{ cidr: ${PAGE}/32, ports: [80/tcp] }`
  const daemon = await guard(lab(), { config: `allow: [${page}, { cidr: ${target}/32, ports: any }]` })
  await send(hostile, everyPort)
  expect(await lab().farEnd.count(target)).toBeGreaterThan(14_999)
  expect(await connections()).toBeGreaterThanOrEqual(15_000)

  await lab().embargod.writeConfig(`allow: [${page}]`)
  const [failed, reload] = await Promise.all([
    failures(neighbour, 4),
    lab().cli(['reload'], { timeoutMs: 120_000 }),
  ])
  expect(reload).toMatchObject({ code: 0 })
  expect(failed).toBe(0)
  await lab().farEnd.reset()
  await send(hostile, everyPort)
  expect(await lab().farEnd.count(target)).toBe(0)
  for (const [set, entries] of await setSizes(lab())) expect(entries, set).toBeLessThanOrEqual(65_536)
  expect(linesSince(daemon, 0).filter(({ level }) => level === 'error')).toEqual([])
})

/** Seconds of a processor that the daemon's own process used so far. */
function cpuSeconds(daemon: Daemon): number {
  const fields = readFileSync(`/proc/${daemon.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
