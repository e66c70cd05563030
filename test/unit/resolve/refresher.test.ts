import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseAddress } from '../../../src/net/address.ts'
import { classify } from '../../../src/net/ranges.ts'
import type { Address, Family, Hostname } from '../../../src/net/types.ts'
import { AddressStore } from '../../../src/resolve/address-store.ts'
import type { Lookup } from '../../../src/resolve/model.ts'
import { Refresher, type LookupReport, type RefresherSettings } from '../../../src/resolve/refresher.ts'

const api = 'api.example.com' as Hostname
const broken: Lookup = { kind: 'servfail', detail: 'broken' }
const LIMITS = { refreshMaxMs: 300_000, promiseMaxMs: 0, retainMs: 600_000, maxAddressesPerName: 100 }
const SETTINGS: RefresherSettings = {
  patterns: new Map(),
  limits: LIMITS,
  names: new Map([[api, { private: false }]]),
  refresh: { minMs: 30_000, maxMs: 300_000 },
  maxQueriesPerSecond: 200,
  sweep: '*/15 * * * *',
}
const namesOf = (count: number): RefresherSettings['names'] =>
  new Map(Array.from({ length: count }, (_, i) => [`n${i}.example.com` as Hostname, { private: false }]))

/** A refresher whose name server is a function; the clock and the timers are vitest's. */
function world(settings: Partial<RefresherSettings> = {}) {
  const lines: { level: string; message: string; fields: object }[] = []
  const level = (name: string) => (fields: object, message: string) =>
    void lines.push({ level: name, message, fields })
  const asked: { name: Hostname; family: Family; atMs: number }[] = []
  const reports: LookupReport[] = []
  const seen = { changes: 0, most: 0, now: 0 }
  const state: { reply: (name: Hostname, family: Family) => Lookup | Promise<Lookup> } = {
    reply: (_, family) =>
      family === 6
        ? { kind: 'empty' }
        : { kind: 'addresses', records: [{ address: '198.51.100.7' as Address, ttlMs: 60_000 }] },
  }
  const addressStore = new AddressStore({
    limits: LIMITS,
    classify,
    parseAddress,
  })
  const refresher = new Refresher({
    settings: { ...SETTINGS, ...settings },
    addressStore,
    log: { info: level('info'), warn: level('warn'), error: level('error'), debug: () => undefined },
    isHostAddress: () => false,
    seed: 'host-1',
    random: () => 0.5,
    clock: { epochMs: () => Date.now(), monotonicMs: () => Date.now() },
    resolver: {
      lookup: async (name, family, signal) => {
        asked.push({ name, family, atMs: Date.now() - T0 })
        seen.most = Math.max(seen.most, ++seen.now)
        const calledOff = new Promise<Lookup>((resolve) =>
          signal?.addEventListener('abort', () => resolve({ kind: 'error', detail: 'called off' })),
        )
        return Promise.race([state.reply(name, family), calledOff]).finally(() => seen.now--)
      },
    },
    onChange: () => {
      seen.changes++
      addressStore.takeChanged()
    },
    onLookup: (report) => reports.push(report),
  })
  running.push(refresher)
  return { refresher, addressStore, asked, reports, lines, seen, state }
}

const T0 = Date.UTC(2026, 0, 1, 0, 0, 1)
const running: Refresher[] = []
beforeEach(() => vi.useFakeTimers({ now: T0 }))
afterEach(async () => {
  for (const refresher of running.splice(0)) await refresher.stop()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

test('a name is asked at once in both families and again when its TTL is up', async () => {
  const { refresher, addressStore, asked, reports, seen } = world()
  refresher.start()
  await pass(0)
  expect(addressStore.liveAddresses(api).map(({ address }) => address)).toEqual(['198.51.100.7'])
  expect(seen.changes).toBe(1)
  await pass(59_000)
  expect(asked.map(({ family }) => family)).toEqual([4, 6])
  await pass(2_000)
  expect(asked.map(({ family }) => family)).toEqual([4, 6, 4, 6])
  expect(seen.changes).toBe(1)
  expect(reports.map(({ lookup }) => lookup.kind)).toEqual(['addresses', 'empty', 'addresses', 'empty'])
})

test('one slow family does not hold up the other', async () => {
  const { refresher, addressStore, state } = world()
  const { reply } = state
  state.reply = (name, family) => (family === 6 ? new Promise<Lookup>(() => undefined) : reply(name, family))
  refresher.start()
  await pass(1)
  expect(addressStore.liveAddresses(api)).toHaveLength(1)
})

test('no more questions a second than allowed, and all names in the time that takes', async () => {
  const { refresher, asked } = world({ names: namesOf(500) })
  refresher.start()
  await pass(6_000)
  expect(asked).toHaveLength(1000)
  for (let second = 0; second < 6; second++) {
    const within = asked.filter(({ atMs }) => atMs >= second * 1000 && atMs < (second + 1) * 1000)
    expect(within.length).toBeLessThanOrEqual(222)
  }
})

test('no more names on their way than allowed', async () => {
  const { refresher, state, seen } = world({
    names: namesOf(500),
    maxQueriesPerSecond: Number.POSITIVE_INFINITY,
  })
  const { reply } = state
  state.reply = async (name, family) => {
    await new Promise((resolve) => setTimeout(resolve, 10))
    return reply(name, family)
  }
  refresher.start()
  await pass(100)
  expect(seen.most).toBe(256)
  expect(seen.now).toBe(0)
})

test('the sweep asks names that are not due for long', async () => {
  const { refresher, asked } = world({ refresh: { minMs: 86_400_000, maxMs: 86_400_000 } })
  refresher.start()
  await pass(14 * 60_000)
  expect(asked).toHaveLength(2)
  await pass(16 * 60_000)
  expect(asked).toHaveLength(4)
})

describe('reconfiguring', () => {
  test('asks new names at once and forgets the others', async () => {
    const { refresher, addressStore, asked, seen } = world()
    refresher.start()
    await pass(1)
    const other = 'other.example.com' as Hostname
    refresher.reconfigure({ ...SETTINGS, names: new Map([[other, { private: false }]]), sweep: '0 * * * *' })
    expect(seen.changes).toBe(2)
    await pass(1)
    expect(asked.at(-1)?.name).toBe(other)
    expect(addressStore.liveAddresses(api)).toEqual([])
    expect(addressStore.liveAddresses(other)).toHaveLength(1)
  })
})

describe('stopping', () => {
  test('calls off what is on its way, asks nothing more, and a new start takes it up', async () => {
    const { refresher, addressStore, asked, state, reports } = world()
    const { reply } = state
    state.reply = () => new Promise<Lookup>(() => undefined)
    refresher.start()
    await pass(1)
    await refresher.stop()
    await pass(3_600_000)
    expect(asked).toHaveLength(2)
    expect(reports).toEqual([])
    state.reply = reply
    refresher.start()
    await pass(1)
    expect(addressStore.liveAddresses(api)).toHaveLength(1)
  })
})

describe('the log', () => {
  test('says a fault once and its end once', async () => {
    const { refresher, state, lines } = world()
    const { reply } = state
    refresher.start()
    await pass(1)
    expect(lines).toEqual([])
    state.reply = () => broken
    await pass(3_600_000)
    state.reply = reply
    await pass(3_600_000)
    expect(lines.map(({ message }) => message)).toEqual([
      'name does not resolve; its last addresses stay',
      'name resolves again',
    ])
  })

  test('sums up when many names fail together', async () => {
    const { refresher, state, lines } = world({
      names: namesOf(300),
      maxQueriesPerSecond: Number.POSITIVE_INFINITY,
    })
    state.reply = () => broken
    refresher.start()
    await pass(61_000)
    expect(lines).toHaveLength(21)
    expect(lines.at(-1)).toMatchObject({
      message: 'the same is true of many more names',
      fields: { failing: 280 },
    })
    await pass(600_000)
    expect(lines).toHaveLength(21)
  })

  test('says a refused answer once a name', async () => {
    const { refresher, state, lines, reports } = world()
    let last = 0
    state.reply = () => ({
      kind: 'addresses',
      records: [{ address: `169.254.169.${last++}` as Address, ttlMs: 0 }],
    })
    refresher.start()
    await pass(600_000)
    expect(lines.filter(({ message }) => message === 'answer refused because of its range')).toHaveLength(1)
    expect(reports[0]?.refused).toEqual(['169.254.169.0'])
  })

  test('says once that a name goes on and off, until it was steady', async () => {
    const { refresher, state, lines } = world({ refresh: { minMs: 1_000, maxMs: 1_000 } })
    const { reply } = state
    let turn = 0
    state.reply = (name, family) => (family === 6 || turn++ % 2 === 0 ? reply(name, family) : broken)
    refresher.start()
    await pass(3_600_000)
    expect(turn).toBeGreaterThan(3_000)
    expect(lines).toHaveLength(5)
    expect(lines.at(-1)?.message).toMatch(/on and off/)
    state.reply = reply
    await pass(601_000)
    state.reply = () => broken
    await pass(10_000)
    expect(lines.slice(5).map(({ message }) => message)).toEqual([
      'name does not resolve; its last addresses stay',
    ])
  })

  test('says once that a name has too many addresses', async () => {
    const { refresher, state, lines } = world({ limits: { ...LIMITS, maxAddressesPerName: 1 } })
    let last = 0
    state.reply = () => ({
      kind: 'addresses',
      records: [1, 2].map(() => ({ address: `198.51.100.${last++ % 250}` as Address, ttlMs: 0 })),
    })
    refresher.start()
    await pass(600_000)
    expect(last).toBeGreaterThan(50)
    expect(lines.map(({ message }) => message)).toEqual(['more addresses than a name may have'])
  })

  test('sums up when the answers of many names are refused together', async () => {
    const { refresher, state, lines } = world({
      names: namesOf(300),
      maxQueriesPerSecond: Number.POSITIVE_INFINITY,
    })
    state.reply = () => ({ kind: 'addresses', records: [{ address: '10.0.0.1' as Address, ttlMs: 0 }] })
    refresher.start()
    await pass(600_000)
    expect(lines).toHaveLength(21)
  })
})
