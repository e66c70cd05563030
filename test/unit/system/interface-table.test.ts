import { expect, test } from 'vitest'
import type { Address } from '../../../src/net/types.ts'
import type { Run } from '../../../src/system/exec.ts'
import { InterfaceTable } from '../../../src/system/interface-table.ts'

const BRIDGE = { ifindex: 2, ifname: 'br-1', linkinfo: { info_kind: 'bridge' } }
const port = (index: number) => ({
  index,
  name: `veth${index}`,
  kind: 'veth',
  master: 'br-1',
  lower: undefined,
  peer: { index: 1, namespace: index },
})
const listing =
  (...links: object[]): Run =>
  async () => ({ stdout: JSON.stringify(links), stderr: '', exitCode: 0 })

const portsOf = (table: InterfaceTable) =>
  table.all.find(({ name }) => name === 'br-1')?.ports.map(({ name }) => name)

test('what is told of ports is written into the last listing', async () => {
  const table = new InterfaceTable()
  await table.read(listing(BRIDGE))
  table.put(port(3))
  table.put(port(4))
  table.setAddress(4, 'fe80::4' as Address, true)
  table.delete(3)
  expect(portsOf(table)).toEqual(['veth4'])
  expect(table.get(4)?.addresses).toEqual(['fe80::4'])
  table.put({ ...port(4), name: 'renamed' })
  expect(table.get(4)).toMatchObject({ name: 'renamed', addresses: ['fe80::4'] })
  table.setAddress(4, 'fe80::4' as Address, false)
  expect(table.get(4)?.addresses).toEqual([])
})

test('what is told while a listing is made is later than it', async () => {
  const table = new InterfaceTable()
  const old = { ifindex: 3, ifname: 'veth3', master: 'br-1', linkinfo: { info_kind: 'veth' } }
  const reading = table.read(async (...call) => {
    table.put(port(4))
    table.delete(3)
    return listing(BRIDGE, old)(...call)
  })
  await reading
  expect(portsOf(table)).toEqual(['veth4'])
})

test('a listing that fails changes nothing', async () => {
  const table = new InterfaceTable()
  await table.read(listing(BRIDGE))
  await expect(table.read(() => Promise.reject(new Error('no such program')))).rejects.toThrow('no such')
  table.put(port(3))
  expect(portsOf(table)).toEqual(['veth3'])
})

test('what is not there has no address', async () => {
  const table = new InterfaceTable()
  table.setAddress(9, '192.0.2.1' as Address, true)
  expect(table.all).toEqual([])
})
