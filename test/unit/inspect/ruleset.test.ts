import { expect, test } from 'vitest'
import { chainOrder } from '../../../src/inspect/chain-order.ts'
import { hookOf, wordsOf } from '../../../src/inspect/ruleset.ts'
import { parseSave } from '../../../src/targets/iptables/parse.ts'
import { dockerRules, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

const savedOf = (kernel: FakeKernel) => parseSave(kernel.rules[4].save(), 4)

test('the place from which the kernel reaches us is named, and nothing when it does not', async () => {
  const kernel = new FakeKernel()
  const host = await TestFirewall.start(kernel, { yaml: 'denyWith: drop\n' })
  expect(hookOf(savedOf(kernel))).toBeUndefined()
  await host.pass()
  expect(hookOf(savedOf(kernel))).toBe('FORWARD')
  dockerRules(kernel)
  await host.pass()
  expect(hookOf(savedOf(kernel))).toBe('DOCKER-USER')
  kernel.rules[4].restore('*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n')
  expect(hookOf(savedOf(kernel))).toBeUndefined()
})

test('every chain is listed once, those that a packet meets first before what they lead to', async () => {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  await (await TestFirewall.start(kernel, { yaml: 'denyWith: drop\n' })).pass()
  const table = savedOf(kernel).tables.get('filter')
  if (!table) throw new Error('there is no filter table')
  const order = chainOrder(table)
  expect(order.toSorted()).toEqual([...table.chains.keys()].toSorted())
  expect(order.indexOf('EMBARGOD')).toBe(order.indexOf('DOCKER-USER') + 1)
  expect(order.indexOf('EMBARGOD-JUDGE')).toBe(order.indexOf('EMBARGOD') + 1)
})

test("words are those of our comment, and the rule itself where it is somebody else's", () => {
  const text = '-m comment --comment "cloud metadata [metadata.x 0123abcd]" -j DROP'
  expect(wordsOf(text, 'metadata.x')).toBe('cloud metadata')
  expect(wordsOf('-i eth0 -j ACCEPT', undefined)).toBe('-i eth0 -j ACCEPT')
})
