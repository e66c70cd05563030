import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import type { DnsScript } from './dns-script.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { heldBy, linesSince, questions, reached, residentMib, setSizes } from './witness.ts'

/**
 * A name server at its worst. Whatever it says: what was allowed stays allowed, what it should not open stays closed, nothing
 * grows without end, and the log says it once.
 */
const lab = useLab({ name: 'dns-stress' })

beforeEach(() => lab().inet.resetDns())

/** Each case has addresses of its own, so that what arrives there tells which answer was believed. */
const good = (number: number): string => `203.0.113.${100 + number}`
const wrong = (number: number): string => `203.0.113.${200 + number}`
const PRIVATE = '10.9.9.9'
const METADATA = '169.254.169.254'

const namesIn = async (state: string): Promise<number> => (await scrape(lab())).value('names', { state }) ?? 0

function chain(name: string, length: number, end: DnsScript): Record<string, DnsScript> {
  const hop = (number: number): string => (number === 0 ? name : `hop${number}.${name}`)
  const aliases = Array.from({ length }, (_, number) => [hop(number), { cname: hop(number + 1), ttl: 1 }])
  return { ...Object.fromEntries(aliases), [hop(length)]: end }
}

const FLAWS = ['short', 'cut', 'count', 'pointer', 'noise', 'id', 'question', 'owner'] as const

/** What becomes of `KIND.example`, which had an address. */
const FAILURES: Readonly<Record<string, Readonly<Record<string, DnsScript | null>>>> = {
  servfail: { 'servfail.example': { rcode: 'SERVFAIL' } },
  nxdomain: { 'nxdomain.example': null },
  refused: { 'refused.example': { rcode: 'REFUSED' } },
  silent: { 'silent.example': { silent: true } },
  late: { 'late.example': { a: [wrong(0)], delayMs: 5000 } },
  empty: { 'empty.example': {} },
  loop: { 'loop.example': { cname: 'back.example' }, 'back.example': { cname: 'loop.example' } },
  endless: chain('endless.example', 30, { a: [wrong(1)] }),
  private: { 'private.example': { a: [PRIVATE] } },
  metadata: { 'metadata.example': { a: [METADATA], ttl: 1 } },
  ...Object.fromEntries(
    FLAWS.map((flaw, number) => [flaw, { [`${flaw}.example`]: { a: [wrong(2 + number)], flaw } }]),
  ),
}
const FORBIDDEN = [PRIVATE, METADATA, ...Array.from({ length: 2 + FLAWS.length }, (_, n) => wrong(n))]

test('failures of every kind take nothing away, open nothing, and are said once', async () => {
  const from = await inside(lab())
  // Where the answers point somebody is, and answers whoever gets through.
  expect(await reached(from, FORBIDDEN)).toEqual(FORBIDDEN.slice(1))
  expect(await lab().farEnd.count(PRIVATE)).toBeGreaterThan(0)
  const failing = Object.keys(FAILURES).map((kind) => `${kind}.example`)
  const names = [...failing, 'unsteady.example']
  const before = Object.fromEntries(names.map((name, number) => [name, { a: [good(number)], ttl: 1 }]))
  const allowed = names.map((_, number) => good(number))
  await lab().inet.dns(before)
  const daemon = await guard(lab(), {
    config: `resolver: { timeout: 1s, refresh: { min: 1s, max: 2s }, retain: 1s }\nallow: [${names.join(', ')}]`,
  })
  await lab().waitFor('every name is known', async () => (await namesIn('fresh')) === names.length, 30_000)
  expect(await reached(from, allowed)).toEqual(allowed)
  expect(await reached(from, FORBIDDEN)).toEqual([])
  const [lengthBefore, mibBefore] = [daemon.logs.length, residentMib(daemon)]

  await lab().farEnd.reset()
  await lab().inet.forget()
  const startedMs = Date.now()
  await lab().inet.dns({
    ...Object.assign({}, ...Object.values(FAILURES)),
    'unsteady.example': { turns: [{ rcode: 'SERVFAIL' }, { a: allowed.slice(-1), ttl: 1 }] },
  })
  await lab().waitFor(
    'each has been looked up five times',
    async () => {
      const asked = await questions(lab())
      return names.every((name) => (asked.get(name) ?? 0) >= 10)
    },
    90_000,
  )
  const asked = await questions(lab())
  const seconds = (Date.now() - startedMs) / 1000

  expect(await namesIn('stale')).toBeGreaterThanOrEqual(failing.length)
  expect(await reached(from, allowed)).toEqual(allowed)
  expect(await reached(from, FORBIDDEN)).toEqual([])
  for (const address of FORBIDDEN) expect(await lab().farEnd.count(address), address).toBe(0)
  // Two families, a lone server that is silent twice each, not sooner than after a second.
  for (const name of names) expect(asked.get(name), name).toBeLessThan(4 * (seconds + 2))
  const said = linesSince(daemon, lengthBefore)
  const saidOf = (name: string) => said.filter((line) => line.name === name)
  for (const name of failing) expect(saidOf(name).length, JSON.stringify(saidOf(name))).toBeLessThanOrEqual(2)
  expect(saidOf('unsteady.example').length).toBeLessThanOrEqual(5)
  expect(said.length, JSON.stringify(said)).toBeLessThan(30)
  expect(residentMib(daemon) - mibBefore).toBeLessThan(64)

  await lab().inet.dns(before)
  await lab().waitFor('all are well', async () => (await namesIn('fresh')) === names.length, 30_000)
  expect(await reached(from, allowed)).toEqual(allowed)
})

test('answers that rotate, abound, never end, or live for ever or not at all', async () => {
  const from = await inside(lab())
  const sixteen = Array.from({ length: 16 }, (_, number) => good(number))
  const many = Array.from({ length: 1500 }, (_, number) => `198.18.${number >> 8}.${number & 255}`)
  const single = {
    'zero.example': { a: [good(20)], ttl: 0 },
    // With its highest bit set a TTL counts as 0.
    'overflow.example': { a: [good(21)], ttl: 2 ** 31 },
    'eternal.example': { a: [good(22)], ttl: 2 ** 31 - 1 },
    'xn--bcher-kva.example': { a: [good(23)], ttl: 1 },
  }
  const allowed = [good(20), good(21), good(22), good(23), good(24), good(25)]
  await lab().inet.dns({
    ...single,
    ...chain('chain.example', 8, { a: [good(24)], ttl: 1 }),
    'turning.example': {
      turns: [
        { a: [good(25)], ttl: 1 },
        { a: [PRIVATE, METADATA], ttl: 1 },
      ],
    },
    'sixteen.example': { turns: sixteen.map((address) => ({ a: [address], ttl: 1 })) },
    'many.example': { a: many, ttl: 1 },
    'ever-new.example': { freshAddresses: 400, ttl: 1 },
  })
  const names = [...Object.keys(single).slice(0, 3), 'bücher.example', 'chain.example', 'turning.example']
  await lab().inet.forget()
  const startedMs = Date.now()
  const daemon = await guard(lab(), {
    config: [
      'resolver: { timeout: 20s, refresh: { min: 1s, max: 20s }, retain: 10m, maxAddressesPerName: 1600 }',
      `allow: [${names.join(', ')}, sixteen.example, many.example, ever-new.example]`,
    ].join('\n'),
  })
  await lab().waitFor(
    'the six are open',
    async () => (await reached(from, allowed)).length === allowed.length,
  )
  const mibBefore = residentMib(daemon)
  await lab().farEnd.reset()
  await lab().waitFor(
    'the sixteen came to be held together',
    async () => (await heldBy(lab(), 'sixteen.example')).length === 16,
    60_000,
  )
  const asked = await questions(lab())
  const seconds = (Date.now() - startedMs) / 1000

  expect(await reached(from, sixteen)).toEqual(sixteen)
  expect(await reached(from, allowed)).toEqual(allowed)
  const spread = [many[0], many[777], many.at(-1)].map(String)
  expect(await reached(from, spread)).toEqual(spread)
  expect(await reached(from, [PRIVATE, METADATA, '198.18.5.220'])).toEqual([])
  expect(await lab().farEnd.count(PRIVATE)).toBe(0)
  // Both families together: once a second at most, or hardly ever.
  for (const name of ['zero.example', 'overflow.example']) {
    expect(asked.get(name), name).toBeLessThan(2 * (seconds * 1.2 + 2))
    expect(asked.get(name), name).toBeGreaterThan(seconds / 3)
  }
  expect(asked.get('eternal.example')).toBeLessThanOrEqual(2 * (1 + seconds / 18))

  const everNew = await heldBy(lab(), 'ever-new.example')
  expect(asked.get('ever-new.example')).toBeGreaterThan(10)
  expect(everNew).toHaveLength(1600)
  for (const [set, entries] of await setSizes(lab()))
    expect(entries, set).toBeLessThanOrEqual(16 + 1500 + 1600 + allowed.length)
  expect(residentMib(daemon) - mibBefore).toBeLessThan(64)
  const said = linesSince(daemon, 0).filter((line) => line.name !== undefined)
  expect(said.filter(({ name }) => name === 'ever-new.example').map(({ msg }) => msg)).toEqual([
    'more addresses than a name may have',
  ])
  // That its answers are refused, four changes of state, and that there will be more.
  expect(said.filter(({ name }) => name === 'turning.example').length).toBeLessThanOrEqual(6)
  expect(said.length, JSON.stringify(said)).toBeLessThanOrEqual(7)
})

test('with half of its servers dead every name stays fresh, and the dead are hardly asked', async () => {
  const from = await inside(lab())
  const names = Array.from({ length: 30 }, (_, number) => `half${number}.example`)
  const allowed = names.map((_, number) => good(number))
  await lab().inet.dns(Object.fromEntries(names.map((name, number) => [name, { a: [good(number)], ttl: 1 }])))
  // Nobody listens on the one, and the other does not even say so.
  const [closed, mute] = [wrong(40), wrong(41)]
  await lab().internet(['nft', '-f', '-'], {
    input: `table inet mute { chain in { type filter hook input priority 0; ip daddr ${mute} drop; }; }`,
  })
  const daemon = await guard(lab(), {
    config: [
      `resolver: { servers: [${mute}, ${INET.dns}, ${closed}, ${INET.otherDns}], refresh: { min: 1s, max: 1s }, retain: 1s }`,
      `allow: [${names.join(', ')}]`,
    ].join('\n'),
  })
  await lab().waitFor('all are known', async () => (await namesIn('fresh')) === names.length, 30_000)
  await lab().farEnd.reset()
  await lab().inet.forget()
  for (let second = 0; second < 8; second += 1) {
    await sleep(1000)
    expect(await namesIn('fresh')).toBe(names.length)
  }
  expect(await reached(from, allowed)).toEqual(allowed)
  const answered = (await lab().inet.queries()).length
  const inVain = (await lab().farEnd.count(mute)) + (await lab().farEnd.count(closed))
  expect(answered).toBeGreaterThan(names.length * 2 * 3)
  expect(inVain).toBeLessThan(answered / 10)

  // Then all are.
  await lab().inet.dns(Object.fromEntries(names.map((name) => [name, { silent: true }])))
  await lab().waitFor('all are stale', async () => (await namesIn('stale')) === names.length, 30_000)
  expect(await reached(from, allowed)).toEqual(allowed)
  expect(linesSince(daemon, 0).filter((line) => line.name !== undefined).length).toBeLessThanOrEqual(20)
})
