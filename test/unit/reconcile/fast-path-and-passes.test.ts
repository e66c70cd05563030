import { expect, test } from 'vitest'
import type { Hostname } from '../../../src/net/types.ts'
import { heldAddress, NOTHING, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'
import { turns } from '../../support/turns.ts'

/** What goes into the kernel beside the passes, and what they take out of it. */

const KEPT = '203.0.113.10'
const LATE = '203.0.113.99'
const YAML = 'allow: [a.example, b.example]'

async function setUp() {
  const kernel = new FakeKernel()
  const firewall = await TestFirewall.start(kernel, {
    yaml: YAML,
    names: { 'a.example': ['203.0.113.20'], 'b.example': [KEPT] },
  })
  await firewall.pass()
  const { desired } = firewall
  /** As an answer for the name would. */
  const bring = (name: string, address: string) => {
    const held = heldAddress(address, kernel.nowMs)
    const places = desired.membership
      .include(name as Hostname, held)
      .map((set) => ({ set, element: address }))
    const brought = firewall.firewall.keepers.sets.fastPath.ensure(
      places,
      desired.membership,
      600,
      kernel.nowMs,
    )
    brought?.catch(() => {
      for (const { set, element } of places) desired.membership.touch(set, element)
    })
    return brought
  }
  const set = desired.membership.setsOf('b.example' as Hostname, 4, false)[0] ?? ''
  const elements = (): string[] => [...(kernel.sets.all.get(set)?.elements.keys() ?? [])].toSorted()
  return { kernel, firewall, bring, set, elements }
}

test('a right that is taken away while its address is on its way leaves nothing behind', async () => {
  const { kernel, firewall, bring, elements } = await setUp()
  let goOn = (): void => undefined
  const gate = new Promise<void>((resolve) => (goOn = resolve))
  // The write waits in the tool.
  kernel.meanwhile = async (command) => {
    if (!command.startsWith('ipset -exist restore')) return
    kernel.meanwhile = undefined
    await gate
  }
  const brought = Promise.resolve(bring('a.example', LATE)).catch(() => undefined)
  await firewall.reload('allow: [b.example]')
  const passed = firewall.pass()
  await turns()
  goOn()
  await Promise.all([brought, passed])
  expect(elements()).toEqual([KEPT])
  expect((await firewall.pass()).outcome).toBe('unchanged')
})

test('a set that was flushed is seen, however many addresses come in meanwhile', async () => {
  const { kernel, firewall, bring, set, elements } = await setUp()
  kernel.sets.all.get(set)?.elements.clear()
  kernel.meanwhile = async (command) => {
    if (!command.startsWith('ipset -')) return
    kernel.meanwhile = undefined
    await bring('b.example', LATE)
  }
  await firewall.pass({ ...NOTHING, headers: true })
  expect(elements()).toEqual([KEPT, '203.0.113.20', LATE])
})

test('what is written beside an address names all that have it, whoever brought it', async () => {
  const { kernel, firewall, bring, set } = await setUp()
  await bring('a.example', LATE)
  const comment = (): string | undefined => kernel.sets.all.get(set)?.elements.get(LATE)?.comment
  expect(comment()).toBe('a.example')
  await bring('b.example', LATE)
  await firewall.pass()
  expect(comment()).toBe('a.example b.example')
})

test('what could not be brought is brought by the next pass', async () => {
  const { kernel, firewall, bring, elements } = await setUp()
  kernel.meanwhile = async (command) => {
    if (!command.startsWith('ipset -exist restore')) return
    kernel.meanwhile = undefined
    throw new Error('no room')
  }
  await expect(bring('a.example', LATE)).rejects.toThrow('no room')
  expect(elements()).not.toContain(LATE)
  await firewall.pass()
  expect(elements()).toContain(LATE)
})

test('what landed though its write failed goes with its name', async () => {
  const { kernel, firewall, bring, set, elements } = await setUp()
  kernel.meanwhile = async (command) => {
    if (!command.startsWith('ipset -exist restore')) return
    kernel.meanwhile = undefined
    throw new Error('killed when it was done')
  }
  await expect(bring('a.example', LATE)).rejects.toThrow('killed')
  const ofSet = kernel.sets.all.get(set)?.elements
  const [other] = ofSet?.values() ?? []
  if (other) ofSet?.set(LATE, { ...other })
  firewall.answer('a.example', ['203.0.113.20'])
  await firewall.pass(NOTHING)
  expect(elements()).toEqual([KEPT, '203.0.113.20'])
})
