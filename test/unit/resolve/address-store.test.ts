import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../../src/net/address.ts'
import { classify } from '../../../src/net/ranges.ts'
import { familyOf, type Address, type Family, type Hostname } from '../../../src/net/types.ts'
import { AddressStore } from '../../../src/resolve/address-store.ts'
import { SnapshotError } from '../../../src/resolve/address-store-snapshot.ts'
import type { Lookup, NameUse } from '../../../src/resolve/model.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const T0 = Date.UTC(2026, 0, 1)
const LIMITS = { refreshMaxMs: 5 * MINUTE, promiseMaxMs: 0, retainMs: 10 * MINUTE, maxAddressesPerName: 1000 }
const api = 'api.example.com' as Hostname
const PUBLIC_USE: NameUse = { private: false }
const PRIVATE_USE: NameUse = { private: true }
const noHost = () => false
const ip = (text: string) => text as Address
const ips = (count: number, block = '198.18') =>
  Array.from({ length: count }, (_, i) => ip(`${block}.${i >> 8}.${i & 255}`))
const answer = (addresses: readonly string[], ttlMs = 60 * SECOND): Lookup => ({
  kind: 'addresses',
  records: addresses.map((address) => ({ address: ip(address), ttlMs })),
})
const FAILURES: Lookup[] = [
  { kind: 'empty' },
  answer([]),
  ...(['nxdomain', 'servfail', 'refused', 'timeout', 'malformed', 'error'] as const).map((kind) => ({
    kind,
    detail: 'broken',
  })),
]

const EMPTY: Lookup[] = [{ kind: 'empty' }, answer([])]

function ledgerOf(uses: Record<string, NameUse> = { [api]: PUBLIC_USE }, limits = LIMITS): AddressStore {
  const addressStore = new AddressStore({ limits, classify, parseAddress })
  addressStore.configure(new Map(Object.entries(uses) as [Hostname, NameUse][]))
  return addressStore
}

const book = (addressStore: AddressStore, lookup: Lookup, atMs: number, family: Family = 4) =>
  addressStore.record(api, family, lookup, atMs, noHost)
const heldBy = (addressStore: AddressStore, name = api) =>
  addressStore.liveAddresses(name).map(({ address }) => address)

describe('an address', () => {
  test('stays for its TTL and the retention, and leaves with the first answer without it after that', () => {
    const addressStore = ledgerOf()
    expect(book(addressStore, answer(['198.51.100.1']), T0).added).toEqual(['198.51.100.1'])
    const endMs = T0 + 11 * MINUTE
    book(addressStore, answer(['198.51.100.2']), endMs - 1)
    expect(heldBy(addressStore)).toEqual(['198.51.100.1', '198.51.100.2'])
    expect(book(addressStore, answer(['198.51.100.2']), endMs).removed).toEqual(['198.51.100.1'])
    expect(heldBy(addressStore)).toEqual(['198.51.100.2'])
    expect(addressStore.hasHad(api, ip('198.51.100.1'))).toBe(true)
    expect(addressStore.hasHad(api, ip('198.51.100.3'))).toBe(false)
  })

  test('that rotates in and out stays as long as it comes again in time', () => {
    const addressStore = ledgerOf()
    const pool = ips(12)
    for (let round = 0; round < 60; round++) {
      const from = (round * 4) % 12
      const { removed } = book(addressStore, answer(pool.slice(from, from + 4)), T0 + round * MINUTE)
      expect(removed).toEqual([])
    }
    expect(heldBy(addressStore).toSorted()).toEqual(pool.toSorted())
  })

  test.each([
    [0, 10 * MINUTE],
    [-5, 10 * MINUTE],
    [2 ** 31 * SECOND, 15 * MINUTE],
    [Number.POSITIVE_INFINITY, 15 * MINUTE],
  ])('with a TTL of %d ms expires after %d ms', (ttlMs, lifeMs) => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1'], ttlMs), T0)
    expect(addressStore.liveAddresses(api)[0]?.expiresAtMs).toBe(T0 + lifeMs)
  })

  test.each(FAILURES)('survives %j for ever', (failure) => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0)
    for (const days of [1, 100, 1000]) {
      const result = book(addressStore, failure, T0 + days * 24 * 60 * MINUTE)
      expect(result).toMatchObject({ removed: [], state: 'stale' })
    }
    expect(heldBy(addressStore)).toEqual(['198.51.100.1'])
  })

  test('of one family is no business of an answer of the other', () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0)
    book(addressStore, answer(['2001:db8::1']), T0 + 60 * MINUTE, 6)
    expect(heldBy(addressStore)).toEqual(['198.51.100.1', '2001:db8::1'])
  })

  test('seen before the clock was put back still leaves in time', () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0 + 24 * 60 * MINUTE)
    book(addressStore, answer(['198.51.100.2']), T0)
    book(addressStore, answer(['198.51.100.2']), T0 + 20 * MINUTE)
    expect(heldBy(addressStore)).toEqual(['198.51.100.2'])
  })

  test('leaves for no reason but its own time and a later answer without it', () => {
    const step = fc.record({
      afterMs: fc.nat(20 * MINUTE),
      family: fc.constantFrom<Family>(4, 6),
      failure: fc.option(fc.constantFrom(...FAILURES, ...EMPTY, ...EMPTY)),
      members: fc.subarray([1, 2, 3, 4, 5]),
      ttlMs: fc.constantFrom(0, MINUTE, 60 * MINUTE),
    })
    let withdrawn = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        const addressStore = ledgerOf()
        const told: { family: Family; kind: 'addresses' | 'empty' | 'failed' }[] = []
        let nowMs = T0
        for (const { afterMs, family, failure, members, ttlMs } of steps) {
          nowMs += afterMs
          const before = addressStore.liveAddresses(api)
          const lookup =
            failure ??
            answer(
              members.map((n) => (family === 4 ? `198.51.100.${n}` : `2001:db8::${n}`)),
              ttlMs,
            )
          const answered = lookup.kind === 'addresses' ? lookup.records.map(({ address }) => address) : []
          const { removed, added } = book(addressStore, lookup, nowMs, family)
          const hasOnlyThis = isWithdrawn(told, family === 4 ? 6 : 4)
          for (const held of before) {
            const mayGo =
              answered.length > 0 &&
              (held.family === family || hasOnlyThis) &&
              nowMs >= held.expiresAtMs &&
              !answered.includes(held.address)
            expect(removed.includes(held.address)).toBe(mayGo)
            if (mayGo && held.family !== family) withdrawn++
          }
          const kind =
            answered.length > 0 ? 'addresses' : 'detail' in lookup ? ('failed' as const) : ('empty' as const)
          told.push({ family, kind })
          expect(heldBy(addressStore).toSorted()).toEqual(
            [
              ...before.map(({ address }) => address).filter((address) => !removed.includes(address)),
              ...added,
            ].toSorted(),
          )
          for (const address of answered) expect(heldBy(addressStore)).toContain(address)
          expect(
            addressStore.liveAddresses(api).every((held) => held.family === familyOf(held.address)),
          ).toBe(true)
        }
      }),
      { numRuns: 200 },
    )
    expect(withdrawn).toBeGreaterThan(5)
  })

  /** Its last look-up was empty, at a moment when the other family had addresses, and the other one was not empty since. */
  function isWithdrawn(
    told: readonly { readonly family: Family; readonly kind: string }[],
    family: Family,
  ): boolean {
    const at = told.findLastIndex((one) => one.family === family)
    if (told[at]?.kind !== 'empty') return false
    const before = told.slice(0, at).findLast((one) => one.family !== family)
    return (
      before?.kind === 'addresses' &&
      told.slice(at).every((one) => one.family === family || one.kind !== 'empty')
    )
  }
})

describe('a family that DNS withdraws', () => {
  const both = () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0)
    book(addressStore, answer(['2001:db8::1']), T0, 6)
    return addressStore
  }
  const FAILED: Lookup[] = [
    { kind: 'nxdomain', detail: '' },
    { kind: 'servfail', detail: '' },
    { kind: 'timeout', detail: '' },
  ]

  test.each([
    [4, 6, '2001:db8::1'],
    [6, 4, '198.51.100.1'],
  ] as const)('%d ages out like any address, and the name is fresh all the time', (gone, stays, left) => {
    for (const order of [
      [gone, stays],
      [stays, gone],
    ] as const) {
      const addressStore = both()
      for (let minute = 1; minute <= 13; minute++)
        for (const family of order) {
          const lookup: Lookup = family === gone ? { kind: 'empty' } : answer([left])
          const result = book(addressStore, lookup, T0 + minute * MINUTE, family)
          expect(result).toMatchObject({ state: 'fresh', transition: undefined })
          if (minute < 11) expect(heldBy(addressStore)).toHaveLength(2)
        }
      expect(heldBy(addressStore)).toEqual([left])
      expect(addressStore.status(api)).toMatchObject({ state: 'fresh', lastError: undefined })
      // It is a name of one family now: what becomes of the other is no news.
      expect(book(addressStore, { kind: 'timeout', detail: '' }, T0 + 14 * MINUTE, gone).state).toBe('fresh')
      expect(book(addressStore, answer([left]), T0 + 15 * MINUTE, stays).state).toBe('fresh')
    }
  })

  test('goes after a restart too', () => {
    const next = ledgerOf()
    next.restore(JSON.parse(JSON.stringify(both().snapshot())), T0 + 20 * MINUTE)
    for (const minute of [20, 21]) {
      book(next, { kind: 'empty' }, T0 + minute * MINUTE, 4)
      book(next, answer(['2001:db8::1']), T0 + minute * MINUTE, 6)
      expect(next.state(api)).toBe('fresh')
    }
    book(next, answer(['2001:db8::1']), T0 + 22 * MINUTE, 6)
    expect(heldBy(next)).toEqual(['2001:db8::1'])
  })

  test.each(FAILED)('is none by a failed look-up: %j', (failure) => {
    const addressStore = both()
    for (let minute = 1; minute <= 60; minute++) {
      book(addressStore, failure, T0 + minute * MINUTE, 4)
      expect(book(addressStore, answer(['2001:db8::1']), T0 + minute * MINUTE, 6).state).toBe('stale')
    }
    expect(heldBy(addressStore)).toContain('198.51.100.1')
  })

  test('is none when both are empty at once, in whatever order that is told, and the first good answer takes nothing away', () => {
    for (const order of [
      [4, 6],
      [6, 4],
    ] as const) {
      const addressStore = both()
      for (const minute of [20, 21, 22])
        for (const family of order) book(addressStore, { kind: 'empty' }, T0 + minute * MINUTE, family)
      expect(addressStore.status(api)).toMatchObject({
        state: 'stale',
        lastError: expect.stringContaining('no address'),
      })
      expect(heldBy(addressStore)).toHaveLength(2)
      book(addressStore, answer(['2001:db8::2']), T0 + 23 * MINUTE, 6)
      expect(heldBy(addressStore)).toContain('198.51.100.1')
    }
  })
})

describe('the cap', () => {
  const limits = { ...LIMITS, maxAddressesPerName: 4 }

  test('lets the longest unseen go for newer ones, and counts them', () => {
    const addressStore = ledgerOf({ [api]: PUBLIC_USE }, limits)
    const [one, two, three, four, five, six] = ips(6).map(String)
    book(addressStore, answer([one!, two!]), T0)
    book(addressStore, answer([three!, four!]), T0 + 1)
    book(addressStore, answer([one!]), T0 + 2)
    const result = book(addressStore, answer([five!, six!]), T0 + 3)
    expect(result).toMatchObject({ added: [five, six], overCap: 2 })
    expect(heldBy(addressStore)).toEqual([four, one, five, six])
    expect(addressStore.hasHad(api, ip(two!))).toBe(true)
  })

  test('keeps what it has when one answer alone is too much, in whatever order it comes', () => {
    const addressStore = ledgerOf({ [api]: PUBLIC_USE }, limits)
    const all = ips(9)
    expect(book(addressStore, answer(all), T0)).toMatchObject({ added: all.slice(0, 4), overCap: 5 })
    expect(addressStore.status(api)?.overCap).toBe(5)
    expect(book(addressStore, answer(all.toReversed()), T0 + 1)).toMatchObject({
      added: [],
      removed: [],
      overCap: 5,
    })
    expect(heldBy(addressStore)).toEqual(all.slice(0, 4).toReversed())
  })

  test('holds whatever comes', () => {
    const answers = fc.array(fc.subarray(ips(12).map(String)), { maxLength: 30 })
    fc.assert(
      fc.property(answers, (all) => {
        const addressStore = ledgerOf({ [api]: PUBLIC_USE }, limits)
        all.forEach((addresses, index) => {
          book(addressStore, answer(addresses), T0 + index)
          expect(heldBy(addressStore).length).toBeLessThanOrEqual(4)
          if (addresses.length <= 4) expect(heldBy(addressStore)).toEqual(expect.arrayContaining(addresses))
        })
      }),
    )
  })
})

describe('ranges', () => {
  test('that no name may lead to are refused, and news only once', () => {
    const addressStore = ledgerOf()
    const lie = answer(['169.254.169.254', '127.0.0.1', '10.0.0.1', '198.51.100.1'])
    const refused = ['169.254.169.254', '127.0.0.1', '10.0.0.1']
    expect(book(addressStore, lie, T0)).toMatchObject({
      added: ['198.51.100.1'],
      refused,
      refusedNow: refused,
    })
    expect(book(addressStore, lie, T0 + 1)).toMatchObject({ refused, refusedNow: [] })
    expect(addressStore.status(api)?.refused).toEqual(refused)
    expect(heldBy(addressStore)).toEqual(['198.51.100.1'])
  })

  test('private ones are held where an entry asks for them, metadata is not even then', () => {
    const addressStore = ledgerOf({ [api]: PRIVATE_USE })
    expect(book(addressStore, answer(['10.0.0.1', '169.254.169.254']), T0)).toMatchObject({
      added: ['10.0.0.1'],
      refused: ['169.254.169.254'],
    })
    expect(addressStore.liveAddresses(api)[0]?.private).toBe(true)
  })

  test('of an answer that has only refused ones take nothing away', () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0)
    const result = book(addressStore, answer(['10.0.0.1', '169.254.169.254']), T0 + 60 * MINUTE)
    expect(result).toMatchObject({ removed: [], refused: ['10.0.0.1', '169.254.169.254'], state: 'stale' })
    expect(heldBy(addressStore)).toEqual(['198.51.100.1'])
    expect(addressStore.status(api)?.lastError).toMatch(/refused/)
    const mixed = book(addressStore, answer(['10.0.0.1', '198.51.100.2']), T0 + 61 * MINUTE)
    expect(mixed).toMatchObject({ removed: ['198.51.100.1'], state: 'fresh' })
  })

  test("the host's own addresses are refused", () => {
    const addressStore = ledgerOf()
    const result = addressStore.record(
      api,
      4,
      answer(['198.51.100.2']),
      T0,
      (address) => address === '198.51.100.2',
    )
    expect(result).toMatchObject({ added: [], refused: ['198.51.100.2'], state: 'failing' })
    expect(addressStore.status(api)?.lastError).toMatch(/refused/)
  })

  test('a name that answers publicly and privately in turn keeps its public address in time', () => {
    const addressStore = ledgerOf()
    for (let round = 0; round < 30; round++) {
      book(addressStore, answer([round % 2 === 0 ? '198.51.100.1' : '10.0.0.1']), T0 + round * MINUTE)
      expect(heldBy(addressStore)).toEqual(['198.51.100.1'])
    }
  })

  test('private ones go, from the history too, when no entry wants them any more', () => {
    const addressStore = ledgerOf({ [api]: PRIVATE_USE })
    book(addressStore, answer(['10.0.0.1', '198.51.100.1'], 0), T0)
    book(addressStore, answer(['10.0.0.2', '198.51.100.1'], 0), T0 + 20 * MINUTE)
    expect(addressStore.hasHad(api, ip('10.0.0.1'))).toBe(true)
    addressStore.takeChanged()
    addressStore.configure(new Map([[api, PUBLIC_USE]]))
    expect(heldBy(addressStore)).toEqual(['198.51.100.1'])
    expect(addressStore.takeChanged()).toEqual([api])
    expect(addressStore.hasHad(api, ip('10.0.0.1'))).toBe(false)
    expect(addressStore.hasHad(api, ip('10.0.0.2'))).toBe(false)
  })
})

describe('the state of a name', () => {
  const failure: Lookup = { kind: 'servfail', detail: 'broken' }

  test('with IPv4 alone is fresh, whatever becomes of AAAA', () => {
    const addressStore = ledgerOf()
    expect(book(addressStore, answer(['198.51.100.1']), T0).transition).toBeUndefined()
    expect(book(addressStore, { kind: 'empty' }, T0, 6).transition).toEqual({ from: undefined, to: 'fresh' })
    expect(book(addressStore, { kind: 'timeout', detail: '' }, T0 + 1, 6)).toMatchObject({
      state: 'fresh',
      transition: undefined,
    })
    expect(addressStore.status(api)).toMatchObject({
      state: 'fresh',
      lastSuccessMs: T0,
      lastError: undefined,
    })
  })

  test('turns stale with the first failure and fresh with the next answer, each told once', () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0)
    book(addressStore, { kind: 'empty' }, T0, 6)
    expect(book(addressStore, failure, T0 + 1).transition).toEqual({ from: 'fresh', to: 'stale' })
    expect(book(addressStore, failure, T0 + 2).transition).toBeUndefined()
    expect(addressStore.status(api)).toMatchObject({ lastError: 'A: broken', lastSuccessMs: T0 })
    expect(book(addressStore, answer(['198.51.100.1']), T0 + 3).transition).toEqual({
      from: 'stale',
      to: 'fresh',
    })
  })

  test('is failing when nothing was ever known, told once both families were asked', () => {
    const addressStore = ledgerOf()
    expect(addressStore.counts()).toEqual({ fresh: 0, stale: 0, failing: 1 })
    expect(book(addressStore, failure, T0).transition).toBeUndefined()
    expect(book(addressStore, failure, T0, 6).transition).toEqual({ from: undefined, to: 'failing' })
  })
})

describe('changed names', () => {
  test('are told once, for members only', () => {
    const addressStore = ledgerOf({ [api]: PUBLIC_USE, 'other.example.com': PUBLIC_USE })
    book(addressStore, answer(['198.51.100.1']), T0)
    expect(addressStore.takeChanged()).toEqual([api])
    book(addressStore, answer(['198.51.100.1']), T0 + 1)
    book(addressStore, { kind: 'empty' }, T0 + 2)
    expect(addressStore.takeChanged()).toEqual([])
    addressStore.configure(new Map())
    expect(addressStore.takeChanged()).toEqual([api])
    expect(addressStore.statuses()).toEqual([])
    expect(book(addressStore, answer(['198.51.100.1']), T0 + 3)).toMatchObject({ added: [] })
  })

  test('a name that left the config and came back has no past', () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0)
    addressStore.configure(new Map())
    addressStore.configure(new Map([[api, PUBLIC_USE]]))
    expect(addressStore.hasHad(api, ip('198.51.100.1'))).toBe(false)
  })
})

test('of aged-out addresses the newest 2,000 are remembered', () => {
  const addressStore = ledgerOf({ [api]: PUBLIC_USE }, { ...LIMITS, maxAddressesPerName: 3000 })
  const [first, ...others] = ips(2100)
  book(addressStore, answer([first!], 0), T0)
  book(addressStore, answer(others, 0), T0 + 20 * MINUTE)
  expect(addressStore.hasHad(api, first!)).toBe(true)
  book(addressStore, answer(['203.0.113.1'], 0), T0 + 40 * MINUTE)
  expect(addressStore.hasHad(api, first!)).toBe(false)
  expect(others.filter((address) => addressStore.hasHad(api, address))).toEqual(others.slice(-2000))
})

describe('adopting from the kernel', () => {
  test('takes what today may be held, with its age', () => {
    const addressStore = ledgerOf()
    expect(addressStore.adopt(api, ip('198.51.100.1'), T0)).toBe(true)
    expect(addressStore.liveAddresses(api)).toMatchObject([
      { address: '198.51.100.1', family: 4, private: false, seenAtMs: T0, expiresAtMs: T0 + 10 * MINUTE },
    ])
    expect(addressStore.status(api)?.state).toBe('stale')
    expect(addressStore.takeChanged()).toEqual([api])
  })

  test('refuses the rest', () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1']), T0)
    expect(addressStore.adopt(api, ip('198.51.100.1'), T0)).toBe(false)
    expect(addressStore.adopt(api, ip('10.0.0.1'), T0)).toBe(false)
    expect(addressStore.adopt(api, ip('169.254.169.254'), T0)).toBe(false)
    expect(addressStore.adopt('gone.example.com' as Hostname, ip('198.51.100.2'), T0)).toBe(false)
    expect(addressStore.adopt(api, ip('198.51.100.2'), T0, () => true)).toBe(false)
  })
})

describe('a snapshot', () => {
  const saved = (addressStore: AddressStore): unknown => JSON.parse(JSON.stringify(addressStore.snapshot()))

  test('brings back addresses, ages, last success and past', () => {
    const addressStore = ledgerOf()
    book(addressStore, answer(['198.51.100.1'], 0), T0)
    book(addressStore, answer(['198.51.100.2']), T0 + 20 * MINUTE)
    book(addressStore, answer(['2001:db8::1']), T0 + 20 * MINUTE, 6)
    const next = ledgerOf()
    next.restore(saved(addressStore), T0 + 21 * MINUTE)
    expect(next.liveAddresses(api)).toMatchObject(
      addressStore
        .liveAddresses(api)
        .map(({ address, family, private: isPrivate, seenAtMs, expiresAtMs }) => ({
          address,
          family,
          private: isPrivate,
          seenAtMs,
          expiresAtMs,
        })),
    )
    expect(next.hasHad(api, ip('198.51.100.1'))).toBe(true)
    for (const one of [addressStore, next]) {
      expect(one.belongings(ip('198.51.100.1'))).toEqual([
        { name: api, seenAtMs: T0, leftAtMs: T0 + 20 * MINUTE, now: ['198.51.100.2', '2001:db8::1'] },
      ])
      expect(one.belongings(ip('198.51.100.2'))).toEqual([
        { name: api, now: ['198.51.100.2', '2001:db8::1'] },
      ])
      expect(one.belongings(ip('198.51.100.3'))).toEqual([])
    }
    expect(next.status(api)).toMatchObject({ state: 'stale', lastSuccessMs: T0 + 20 * MINUTE })
    expect(next.takeChanged()).toEqual([api])
  })

  test('gives only to names that are configured, and only what may be held today', () => {
    const addressStore = ledgerOf({ [api]: PRIVATE_USE, 'gone.example.com': PUBLIC_USE })
    book(addressStore, answer(['198.51.100.1', '198.51.100.2', '10.0.0.1']), T0)
    addressStore.record('gone.example.com' as Hostname, 4, answer(['198.51.100.9']), T0, noHost)
    const next = ledgerOf()
    next.restore(saved(addressStore), T0, (address) => address === '198.51.100.2')
    expect(heldBy(next)).toEqual(['198.51.100.1'])
    expect(next.statuses()).toHaveLength(1)
  })

  test('cannot smuggle in what is no address, or a time from the future', () => {
    const hostile = {
      version: 1,
      names: [
        {
          name: api,
          held: ['0.0.0.0/0', '010.0.0.1', '198.51.100.1', '169.254.169.254'],
          seen: [1, 1, T0 * 2, 1],
          expires: [1e300, 1e300, 1e300, 1e300],
          past: ['x; rm', '10.0.0.9'],
        },
      ],
    }
    const next = ledgerOf()
    next.restore(hostile, T0)
    expect(next.liveAddresses(api)).toMatchObject([
      { address: '198.51.100.1', seenAtMs: T0, expiresAtMs: T0 + 15 * MINUTE },
    ])
    expect(next.hasHad(api, ip('10.0.0.9'))).toBe(false)
  })

  test.each([
    ['nothing', null],
    ['a text', 'x'],
    ['a later version', { version: 2, names: [] }],
    [
      'columns of different lengths',
      { version: 1, names: [{ name: api, held: ['198.51.100.1'], seen: [], expires: [1], past: [] }] },
    ],
    ['another shape', { version: 1, names: [{ name: 5 }] }],
  ])('that is %s is refused whole, with a reason', (_, broken) => {
    const addressStore = ledgerOf()
    expect(() => addressStore.restore(broken, T0)).toThrow(SnapshotError)
    expect(() => addressStore.restore(broken, T0)).toThrow(/saved addresses cannot be read/)
    expect(heldBy(addressStore)).toEqual([])
  })
})
