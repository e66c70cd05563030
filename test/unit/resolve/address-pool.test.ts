import { describe, expect, test } from 'vitest'
import { familyOf, type Address } from '../../../src/net/types.ts'
import { AddressPool } from '../../../src/resolve/address-pool.ts'
import type { PooledAddress } from '../../../src/resolve/room.ts'

const T0 = 1_000_000
const LIMITS = { refreshMaxMs: 300_000, promiseMaxMs: 3_600_000, retainMs: 600_000, maxAddressesPerName: 3 }
const none = (): boolean => false

function poolOf(...entries: (Partial<PooledAddress> & { readonly at: string })[]) {
  const pool = new AddressPool()
  for (const { at, ...more } of entries) {
    const address = at as Address
    const family = familyOf(address)
    const times = { seenAtMs: T0, expiresAtMs: T0 + 1_000, promisedUntilMs: 0 }
    pool.add({ address, family, private: false, ...times, asker: undefined, ...more })
  }
  return { pool, live: () => pool.values().map(({ address }) => address as string) }
}

describe('a pool of addresses', () => {
  test('counts each family for itself', () => {
    const { pool } = poolOf({ at: '192.0.2.1' }, { at: '192.0.2.2' }, { at: '2001:db8::1' })
    expect([pool.size, pool.sizeOf(4), pool.sizeOf(6)]).toEqual([3, 2, 1])
    pool.expire(T0 + 1_000)
    expect([pool.size, pool.sizeOf(4), pool.sizeOf(6)]).toEqual([0, 0, 0])
  })

  test('remembers what left by its age, and forgets that when it is back', () => {
    const { pool } = poolOf({ at: '192.0.2.1' })
    const [entry] = pool.expire(T0 + 5_000)
    expect(pool.past.get('192.0.2.1' as Address)).toEqual({ seenAtMs: T0, leftAtMs: T0 + 5_000 })
    expect(pool.hasHad('192.0.2.1' as Address)).toBe(true)
    pool.add(entry!)
    expect(pool.past.get('192.0.2.1' as Address)).toBeUndefined()
  })

  test('makes room by the longest unseen that neither the answer has nor a container was promised', () => {
    const { pool, live } = poolOf(
      { at: '192.0.2.1', promisedUntilMs: T0 + 1 },
      { at: '192.0.2.2' },
      { at: '192.0.2.3' },
    )
    const isAnswered = (address: string): boolean => address === '192.0.2.2'
    expect(pool.makeRoom(4, 2, isAnswered, T0, 3)).toEqual(['192.0.2.3'])
    expect(live()).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(pool.makeRoom(4, 2, none, T0 + 1, 3)).toEqual(['192.0.2.1'])
    expect(pool.makeRoom(4, 0, none, T0 + 1, 0)).toEqual([])
  })

  test('moves what was seen again behind the others', () => {
    const { pool, live } = poolOf({ at: '192.0.2.1' }, { at: '192.0.2.2' })
    pool.moveLast(pool.get('192.0.2.1' as Address)!)
    expect(live()).toEqual(['192.0.2.2', '192.0.2.1'])
  })

  test('lets go of one family what an answer lacks and is too old, and pulls back times from the future', () => {
    const { pool, live } = poolOf(
      { at: '192.0.2.1' },
      { at: '192.0.2.2' },
      { at: '192.0.2.3', expiresAtMs: T0 + 9_000 },
      { at: '192.0.2.4', seenAtMs: T0 + 9e9, expiresAtMs: T0 + 9e9 },
      { at: '2001:db8::1' },
    )
    const isAnswered = (address: string): boolean => address === '192.0.2.1'
    expect(pool.removeUnanswered(4, isAnswered, T0 + 2_000, LIMITS)).toEqual(['192.0.2.2'])
    expect(live()).toEqual(['192.0.2.1', '192.0.2.3', '192.0.2.4', '2001:db8::1'])
    expect(pool.get('192.0.2.4' as Address)).toMatchObject({
      seenAtMs: T0 + 2_000,
      expiresAtMs: T0 + 2_000 + LIMITS.refreshMaxMs + LIMITS.retainMs,
    })
  })

  test('keeps nothing of private addresses that are revoked, not even in its history', () => {
    const { pool } = poolOf({ at: '10.0.0.1', private: true }, { at: '10.0.0.2', private: true })
    pool.removeUnanswered(4, (address) => address === '10.0.0.1', T0 + 2_000, LIMITS)
    pool.revokePrivate((address) => address.startsWith('10.'))
    expect([pool.size, pool.past.size]).toEqual([0, 0])
  })

  test('gives an asker who has spent its share only places of its own', () => {
    const place = (isShared: boolean) => {
      const { pool, live } = poolOf(
        { at: '192.0.2.1' },
        { at: '192.0.2.2', asker: 'hog' },
        { at: '192.0.2.3', asker: 'hog' },
        { at: '192.0.2.4', asker: 'hog' },
      )
      return { taken: pool.takePlace(4, 'hog', isShared, none, T0, 5), live: live() }
    }
    expect(place(true)).toEqual({ taken: true, live: ['192.0.2.1', '192.0.2.3', '192.0.2.4'] })
    expect(place(false).live).toHaveLength(4)
  })
})
