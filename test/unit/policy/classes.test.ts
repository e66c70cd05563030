import { expect, test } from 'vitest'
import {
  classesByNetwork,
  mixedNetworks,
  type Assignment,
  type ClassMember,
} from '../../../src/policy/classes.ts'

const member = (networkId: string, id: number | undefined, more: Partial<ClassMember> = {}): ClassMember => ({
  container: { id: `${networkId}-${id}`, name: 'one', pid: 1 },
  networkId,
  network: networkId,
  segments: [networkId],
  mac: undefined,
  addresses: [],
  matched: [],
  class: id,
  ...more,
})
const of = (...members: ClassMember[]): Assignment => ({
  unknown: 'common',
  classes: [],
  members,
  ignoredLabels: 0,
})

test('a network has the class of its containers when they all have the same, those that do not run too', () => {
  const stopped = { container: { id: 'x', name: 'x', pid: undefined } }
  const all = of(
    member('same', 3),
    member('same', 3),
    member('mixed', 3),
    member('mixed', 4, stopped),
    member('none', undefined),
    member('half', undefined),
    member('half', 5),
  )
  expect([...classesByNetwork(all)]).toEqual([['same', 3]])
})

test('containers that leave by one gateway meet on their overlay networks', () => {
  const all = of(
    member('gateway', 3, { segments: ['mesh'] }),
    member('gateway', 4, { segments: ['other'] }),
    member('shop', 3),
    member('shop', 4),
  )
  expect(mixedNetworks(all)).toEqual(['shop'])
  expect(mixedNetworks(of(...all.members, member('gateway', 5, { segments: ['mesh'] })))).toEqual([
    'mesh',
    'shop',
  ])
})
