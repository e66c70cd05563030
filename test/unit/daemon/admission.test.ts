import { describe, expect, test } from 'vitest'
import { KernelAdmission } from '../../../src/daemon/admission.ts'
import type { Membership } from '../../../src/dataplane/membership.ts'
import type { Address, Hostname } from '../../../src/net/types.ts'
import type { Desired } from '../../../src/reconcile/desired.ts'
import type { FastPath } from '../../../src/targets/ipset/fast-path.ts'
import type { AddressStore } from '../../../src/resolve/address-store.ts'
import { heldAddress } from '../../support/builders.ts'

/** A address store in which each name holds what is listed for it. */
function setUp(holds: Readonly<Record<string, readonly string[]>>, changed = false, writing?: Promise<void>) {
  const brought: { places: readonly { set: string; element: string }[]; seconds: number }[] = []
  const included: string[] = []
  const touched: string[] = []
  const fulls = new Set<string>()
  const crowded: string[] = []
  let failures = 0
  let changes = 0
  const admission = new KernelAdmission({
    addressStore: {
      isChanged: (name: string) => name === 'looked-up',
      admit: (name: string) => ({
        live: (holds[name] ?? []).map((one) => heldAddress(one)),
        full: fulls.has(name),
        changed,
      }),
    } as unknown as AddressStore,
    isHostAddress: (address) => address === '198.51.100.1',
    desired: {
      membership: {
        include: (name: string, { address }: { address: string }) => {
          included.push(`${name} ${address}`)
          return [`set of ${name}`]
        },
        setsOf: (name: string) => [`set of ${name}`],
        touch: (set: string, element: string) => touched.push(`${set}: ${element}`),
      } as unknown as Membership,
      config: { resolver: { maxStaleMs: 90_500 } },
    } as unknown as Desired,
    fastPath: {
      ensure: (places: (typeof brought)[0]['places'], _: Membership, seconds: number) => {
        brought.push({ places, seconds })
        return writing
      },
    } as unknown as FastPath,
    onChange: () => changes++,
    onFull: (name, asker) => crowded.push(`${name} ${asker}`),
    onIncluded: () => undefined,
    onFailure: () => failures++,
  })
  const admit = (as: readonly string[], ...addresses: string[]) => {
    const given = addresses.map((address) => ({ address: address as Address, ttlMs: 1000 }))
    return [...admission.admit(as as Hostname[], given, 'web').refused]
  }
  return { admit, brought, included, touched, changes: () => changes, failures: () => failures }
}

test('what a name holds is brought into its sets, and all else refused', () => {
  const { admit, brought, included, changes } = setUp({ a: ['192.0.2.1'] })
  expect(admit(['a'], '192.0.2.1', '169.254.169.254')).toEqual(['169.254.169.254'])
  expect(brought).toEqual([{ places: [{ set: 'set of a', element: '192.0.2.1' }], seconds: 90 }])
  expect([included, changes()]).toEqual([[], 0])
})

test('an address is refused only when no name holds it', () => {
  const { admit, brought } = setUp({ a: ['192.0.2.1'], b: ['192.0.2.1', '10.0.0.1'] })
  expect(admit(['a', 'b'], '192.0.2.1', '10.0.0.1', '10.0.0.2')).toEqual(['10.0.0.2'])
  expect(brought[0]?.places).toHaveLength(3)
})

test('what is new is to be held by passes too, and saved', () => {
  const { admit, included, changes } = setUp({ a: ['192.0.2.1'] }, true)
  admit(['a'], '192.0.2.1')
  expect([included, changes()]).toEqual([['a 192.0.2.1'], 1])
})

test('what the kernel does not take is left to the next pass', async () => {
  const writing = Promise.reject(new Error('the set is full'))
  const { admit, touched, failures } = setUp({ a: ['192.0.2.1'] }, true, writing)
  admit(['a'], '192.0.2.1')
  expect([touched, failures()]).toEqual([[], 0])
  await writing.catch(() => undefined)
  expect([touched, failures()]).toEqual([['set of a: 192.0.2.1'], 1])
})

test('what a look-up brought is held for the answer too, ahead of the pass', () => {
  const { admit, included } = setUp({ 'looked-up': ['192.0.2.1'] })
  admit(['looked-up'], '192.0.2.1')
  expect(included).toEqual(['looked-up 192.0.2.1'])
})

describe('who may reach any host', () => {
  test('is told public addresses, and none is booked', () => {
    const { admit, brought } = setUp({})
    const inner = [
      '10.0.0.1',
      '169.254.169.254',
      '127.0.0.1',
      '198.51.100.1',
      'fd00::1',
      'fe80::1',
      '0.0.0.0',
    ]
    expect(admit([], '1.1.1.1', '2606:4700::1111', ...inner)).toEqual(inner)
    expect(brought).toEqual([])
  })
})
