import { expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import type { Address } from '../../../../src/net/types.ts'
import { elementsOf } from '../../../../src/targets/bindings/elements.ts'
import { Senders } from '../../../../src/targets/bindings/senders.ts'

const [PORT, MAC, OTHER_MAC] = ['veth0000001', '02:42:ac:12:00:02', '02:42:ac:12:00:09']
const binding = (address: string) => ({ port: PORT, mac: MAC, address: address as Address, class: 3 })
const senders = new Senders(
  elementsOf(
    {
      ports: [binding('172.18.0.2'), binding('fd00:18::2')],
      gateways: ['172.18.0.1' as Address],
      spared: [],
    },
    DEFAULT_MARKS.rights,
  ),
)

test.each([
  [PORT, MAC, '172.18.0.2', 'known'],
  [PORT, MAC, 'fd00:18::2', 'known'],
  [PORT, MAC, 'fe80::42', 'known'],
  [PORT, MAC, '172.18.0.3', 'forged'],
  [PORT, OTHER_MAC, '172.18.0.2', 'forged'],
  ['veth0000002', OTHER_MAC, '172.18.0.2', 'forged'],
  ['veth0000002', MAC, '172.18.0.3', 'forged'],
  ['veth0000002', OTHER_MAC, '172.18.0.1', 'forged'],
  ['veth0000002', OTHER_MAC, '172.18.0.3', 'unknown'],
])('%s %s %s', (port, mac, address, standing) => {
  expect(senders.statusOf({ port, mac, address: address as Address })).toBe(standing)
})
