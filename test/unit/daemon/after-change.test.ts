import { expect, test } from 'vitest'
import { namesThatFail } from '../../../src/daemon/after-change.ts'
import { parseAddress } from '../../../src/net/address.ts'
import { classify } from '../../../src/net/ranges.ts'
import type { Address, Hostname } from '../../../src/net/types.ts'
import { AddressStore } from '../../../src/resolve/address-store.ts'
import type { Lookup } from '../../../src/resolve/model.ts'

/** What a person hears of the names after a change. */
const limits = { refreshMaxMs: 1_000, promiseMaxMs: 1_000, retainMs: 1_000, maxAddressesPerName: 10 }
const refuses: Lookup = { kind: 'refused', detail: '203.0.113.99: the server refused to answer (REFUSED)' }
const found: Lookup = { kind: 'addresses', records: [{ address: '203.0.113.1' as Address, ttlMs: 1_000 }] }
const none: Lookup = { kind: 'empty' }

function told(outcomes: Readonly<Record<string, readonly Lookup[]>>): string[] {
  const addressStore = new AddressStore({ limits, classify, parseAddress })
  const names = Object.keys(outcomes) as Hostname[]
  addressStore.configure(new Map(names.map((name) => [name, { private: false }])))
  for (const name of names)
    for (const [index, lookup] of (outcomes[name] ?? []).entries())
      addressStore.record(name, index % 2 === 0 ? 4 : 6, lookup, 1_000 * index, () => false)
  return namesThatFail(addressStore, new Set(names))
}

test.each([
  [{ 'a.example': [found, none] }, []],
  [
    { 'a.example': [refuses, refuses], 'b.example': [refuses, refuses] },
    [
      '2 of 2 names have no address (a.example, b.example: 203.0.113.99: the server refused to answer (REFUSED))',
    ],
  ],
  [
    { 'a.example': [], 'b.example': [found, none] },
    ['1 of 2 names has no address (a.example: no answer yet)'],
  ],
  [
    { 'a.example': [found, none, refuses, none] },
    ['1 of 1 names lives on old answers (a.example: 203.0.113.99: the server refused to answer (REFUSED))'],
  ],
])('%j', (outcomes, expected) => {
  expect(told(outcomes)).toEqual(expected)
})
