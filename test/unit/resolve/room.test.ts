import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../../src/net/address.ts'
import { classify } from '../../../src/net/ranges.ts'
import type { Address, Hostname } from '../../../src/net/types.ts'
import { AddressStore } from '../../../src/resolve/address-store.ts'

/** Who has the places that a name has for addresses. */

const T0 = Date.UTC(2026, 0, 1)
const RETAIN_MS = 600_000
const BELOW = '*.example.com' as Hostname
const PLAIN = 'a.example.com' as Hostname
const LIMITS = {
  refreshMaxMs: 300_000,
  promiseMaxMs: 3_600_000,
  retainMs: RETAIN_MS,
  maxAddressesPerName: 1000,
}

function open(maxAddressesPerName = 1000) {
  const addressStore = new AddressStore({
    limits: { ...LIMITS, maxAddressesPerName },
    classify,
    parseAddress,
  })
  addressStore.configure(new Map([BELOW, PLAIN].map((name) => [name, { private: false }])))
  const give = (name: Hostname, asker: string, addresses: readonly string[], ttlMs: number, nowMs = T0) =>
    addressStore.admit(
      name,
      addresses.map((address) => ({ address: address as Address, ttlMs })),
      asker,
      nowMs,
      () => false,
    )
  return {
    addressStore,
    give,
    holds: (name: Hostname) => addressStore.liveAddresses(name).map(({ address }) => address as string),
  }
}
const ips = (count: number, block = '198.18') =>
  Array.from({ length: count }, (_, at) => `${block}.${at >> 8}.${at & 255}`)

describe('an address that a container was promised', () => {
  test('stays, however many another one asks for, until its TTL is over', () => {
    const { addressStore, give, holds } = open()
    give(BELOW, 'web', ['203.0.113.7'], 278_000)
    let answered = 0
    for (const address of ips(3000)) if (!give(BELOW, 'hog', [address], 300_000).full) answered++
    expect(answered).toBeGreaterThan(700)
    expect(answered).toBeLessThan(800)
    expect(holds(BELOW)).toContain('203.0.113.7')
    expect(holds(BELOW)).toEqual(expect.arrayContaining(ips(700)))
    // A look-up of ours takes nothing of it either.
    const records = ips(1500, '198.19').map((address) => ({ address: address as Address, ttlMs: 1000 }))
    give(PLAIN, 'web', ['203.0.113.8'], 278_000)
    addressStore.record(PLAIN, 4, { kind: 'addresses', records }, T0 + 1, () => false)
    expect(holds(PLAIN)).toContain('203.0.113.8')
    expect(holds(PLAIN)).toHaveLength(1000)
  })

  test('makes room once its TTL is over, though it is still held', () => {
    const { give, holds } = open(4)
    give(PLAIN, 'web', ips(4), 1000)
    expect(give(PLAIN, 'web', ['203.0.113.1'], 1000, T0 + 999).full).toBe(true)
    expect(give(PLAIN, 'web', ['203.0.113.1'], 1000, T0 + 1000)).toMatchObject({ full: false, changed: true })
    expect(holds(PLAIN)).toEqual([...ips(4).slice(1), '203.0.113.1'])
  })

  test('of a restart stays as long', () => {
    const before = open(4)
    before.give(PLAIN, 'web', ips(4), 60_000)
    const after = open(4)
    after.addressStore.restore(JSON.parse(JSON.stringify(before.addressStore.snapshot())), T0 + 1000)
    expect(after.give(PLAIN, 'hog', ['203.0.113.1'], 1000, T0 + 59_999).full).toBe(true)
    expect(after.give(PLAIN, 'hog', ['203.0.113.1'], 1000, T0 + 60_000).full).toBe(false)
  })
})

describe('below a pattern', () => {
  test('each who comes finds room, whoever came before', () => {
    const { give } = open()
    for (let asker = 0; asker < 4; asker++)
      for (const address of ips(1200, `198.${20 + asker}`)) give(BELOW, `hog ${asker}`, [address], 300_000)
    expect(give(BELOW, 'web', ['203.0.113.1'], 300_000).full).toBe(false)
    expect(give(BELOW, 'hog 0', ['203.0.113.2'], 300_000).full).toBe(true)
  })

  test('who has his share turns over his own, and nobody else', () => {
    const { give, holds } = open(100)
    give(BELOW, 'web', ['203.0.113.1'], 1000)
    give(BELOW, 'hog', ips(90), 1000)
    const before = holds(BELOW).length
    const later = T0 + 2000
    for (const address of ips(50, '198.19'))
      expect(give(BELOW, 'hog', [address], 1000, later).full).toBe(false)
    expect(holds(BELOW)).toHaveLength(before)
    expect(holds(BELOW)).toContain('203.0.113.1')
  })

  test('what went is no part of a share any more', () => {
    const { addressStore, give } = open(100)
    give(BELOW, 'hog', ips(100), 1000)
    addressStore.expire([BELOW], T0 + 1000 + RETAIN_MS)
    expect(addressStore.liveAddresses(BELOW)).toEqual([])
    expect(give(BELOW, 'hog', ips(70), 1000, T0 + 700_000).full).toBe(false)
  })
})

test('an answer of more addresses than there is room for costs no more than its length', () => {
  const { addressStore, give, holds } = open()
  const timeOf = (task: () => unknown): number => {
    const startMs = performance.now()
    task()
    return performance.now() - startMs
  }
  const all = ips(4000)
  for (let round = 0; round < 3; round++) {
    expect(timeOf(() => give(PLAIN, 'web', all, 300_000, T0 + round))).toBeLessThan(150)
    const records = all.map((address) => ({ address: address as Address, ttlMs: 1000 }))
    expect(
      timeOf(() => addressStore.record(PLAIN, 4, { kind: 'addresses', records }, T0 + round, () => false)),
    ).toBeLessThan(150)
  }
  expect(holds(PLAIN)).toHaveLength(1000)
})
