import { describe, expect, test } from 'vitest'
import { CLASS_OF_CONNECTION, classMark, DEFAULT_MARKS } from '../../../src/config/marks.ts'
import { MOST_CLASSES, type RightsClass } from '../../../src/policy/class-numbers.ts'
import type { Assignment } from '../../../src/policy/classes.ts'
import { dockerRules, fateOf, packet, SHOP, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

const YAML = `
allow: [{ cidr: 198.51.100.1/32, ports: [443/tcp] }]
policies:
  shop: { match: { network: a }, allow: [{ cidr: 198.51.100.2/32, ports: [443/tcp] }] }
  pay: { match: { network: b }, allow: [{ cidr: 198.51.100.3/32, ports: [443/tcp] }], inherit: false }
  crawler: { match: { network: c }, allow: [{ to: internet, ports: [443/tcp] }] }
`
const rightsClass = (id: number, policies: string[], more: Partial<RightsClass> = {}): RightsClass => ({
  id,
  key: `${id}`,
  policies,
  metadata: false,
  smtp: undefined,
  denyWith: 'drop',
  ...more,
})
const CLASSES = [
  rightsClass(1, ['common']),
  rightsClass(2, ['common', 'shop']),
  rightsClass(3, ['pay'], { metadata: true }),
  rightsClass(4, ['common', 'shop', 'crawler']),
  rightsClass(5, [], { denyWith: 'reject' }),
]

async function kernelWith(
  classes: readonly RightsClass[] = CLASSES,
  unknown: Assignment['unknown'] = 'deny',
): Promise<FakeKernel> {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const firewall = await TestFirewall.start(kernel, {
    yaml: YAML,
    rights: { unknown, classes, members: [], ignoredLabels: 0 },
  })
  await firewall.pass()
  expect((await firewall.pass()).outcome).toBe('unchanged')
  return kernel
}

const passes = (kernel: FakeKernel, id: number, to: string, port = 443): boolean =>
  fateOf(kernel, { ...packet(to, port), mark: classMark(DEFAULT_MARKS, id) }).passes

describe('each has what is its own', () => {
  test.each([
    [0, []],
    [1, ['198.51.100.1']],
    [2, ['198.51.100.1', '198.51.100.2']],
    [3, ['198.51.100.3', '169.254.169.254:80']],
    [4, ['198.51.100.1', '198.51.100.2', '198.51.100.3', '203.0.113.9']],
    [5, []],
    [6, []],
  ])('class %i', async (id, allowed) => {
    const kernel = await kernelWith()
    const targets = [1, 2, 3].map((last) => `198.51.100.${last}`)
    const reached = [
      ...targets,
      '203.0.113.9',
      '169.254.169.254:80',
      '169.254.169.254:443',
      '169.254.170.2:80',
    ].filter((target) => {
      const [address = '', port] = target.split(':')
      return passes(kernel, id, address, Number(port ?? 443))
    })
    expect(reached).toEqual(allowed)
  })

  test('who is unknown may have what is common', async () => {
    const kernel = await kernelWith(CLASSES, 'common')
    expect(passes(kernel, 0, '198.51.100.1')).toBe(true)
    expect(passes(kernel, 0, '198.51.100.2')).toBe(false)
    expect(passes(kernel, 9, '198.51.100.1')).toBe(true)
  })

  test('by its network alone, where ports cannot be told apart', async () => {
    const kernel = new FakeKernel()
    dockerRules(kernel)
    const firewall = await TestFirewall.start(kernel, {
      yaml: YAML,
      rights: { unknown: 'deny', classes: CLASSES, members: [], ignoredLabels: 0 },
      classOfBridge: new Map([[SHOP.bridge, 2]]),
    })
    await firewall.pass()
    expect((await firewall.pass()).outcome).toBe('unchanged')
    const from = (bridge: string, to: string) =>
      fateOf(kernel, { ...packet(to, 443), inInterface: bridge }).passes
    expect([from(SHOP.bridge, '198.51.100.2'), from('docker0', '198.51.100.2')]).toEqual([true, false])
    // What an old table of bindings still writes does not count there.
    const marked = {
      ...packet('198.51.100.3', 443),
      inInterface: SHOP.bridge,
      mark: classMark(DEFAULT_MARKS, 3),
    }
    expect(fateOf(kernel, marked).passes).toBe(false)
  })

  test('and is denied in its own way', async () => {
    const kernel = await kernelWith()
    expect(fateOf(kernel, { ...packet('203.0.113.9'), mark: classMark(DEFAULT_MARKS, 5) }).verdict).toBe(
      'rejected',
    )
    expect(fateOf(kernel, { ...packet('203.0.113.9'), mark: classMark(DEFAULT_MARKS, 1) }).verdict).toBe(
      'dropped',
    )
  })
})

test('numbers of rights, generations and approval do not touch each other in any mark', () => {
  expect(DEFAULT_MARKS.rights & DEFAULT_MARKS.generation).toBe(0)
  expect(DEFAULT_MARKS.rights & DEFAULT_MARKS.approval).toBe(0)
  expect(MOST_CLASSES + 1).toBe(CLASS_OF_CONNECTION)
  expect(classMark(DEFAULT_MARKS, CLASS_OF_CONNECTION)).toBe(DEFAULT_MARKS.rights)
  expect(classMark(DEFAULT_MARKS, 1) & (classMark(DEFAULT_MARKS, 1) - 1)).toBe(0)
})

test('many classes are found in two steps', async () => {
  const classes = Array.from({ length: 200 }, (_, i) =>
    rightsClass(i + 1, i % 2 === 0 ? ['pay'] : ['common']),
  )
  const kernel = await kernelWith(classes)
  for (const id of [1, 15, 16, 17, 31, 32, 199])
    expect([id, passes(kernel, id, '198.51.100.3')]).toEqual([id, id % 2 === 1])
  for (const id of [200, 2, 16]) expect([id, passes(kernel, id, '198.51.100.1')]).toEqual([id, true])
  for (const id of [201, 207, 208, 511, 0])
    expect([id, passes(kernel, id, '198.51.100.1')]).toEqual([id, false])
})
