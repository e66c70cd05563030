import { expect, test } from 'vitest'
import { renderRule } from '../../../src/targets/iptables/render.ts'
import { FAMILIES } from '../../../src/net/types.ts'
import { renderBackstop } from '../../../src/targets/backstop/render.ts'
import { renderHostNetwork } from '../../../src/targets/host-network/host-network.ts'
import { compile } from '../../../src/policy/compile.ts'
import { Desired } from '../../../src/reconcile/desired.ts'
import { configOf, surroundingsOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

/** Every kind of rule that touches a mark. */
const YAML = `
allow: [api.example.com, { to: internet, ports: [443/tcp] }]
dns: { gateway: false }
policies:
  pay: { match: { network: pay }, allow: ["pay.example.com:443"], inherit: false, metadata: allow }
`
const MOVED =
  'hostNetwork: true, mark: 0x4, marks: { rights: 0x1ff000, generation: 0x1fe00000, hostNetwork: 0x8 }'

async function wholeText(guard: string, isTrial = false): Promise<string> {
  const config = await configOf(`${YAML}guard: { ${guard} }\n`)
  const classes = Array.from({ length: 20 }, (_, index) => ({
    id: index + 1,
    key: `${index}`,
    policies: ['pay'],
    metadata: index === 0,
    smtp: undefined,
    denyWith: 'drop' as const,
  }))
  const desired = new Desired({
    config,
    policies: compile(config, [], NOW_MS),
    hostFacts: surroundingsOf({
      rights: { unknown: 'deny', classes, members: [], ignoredLabels: 0 },
      classOfBridge: new Map([['br-0123456789ab', 3]]),
    }),
    generation: 7,
    liveAddresses: () => [],
  })
  if (isTrial) {
    const before = await configOf(`${YAML}never: [203.0.113.0/24]\nguard: { hostNetwork: true }\n`)
    const policies = compile(before, [], NOW_MS)
    desired.setPolicy(config, compile(config, [], NOW_MS), { config: before, policies })
    const { hostFacts } = desired
    desired.setHostFacts({ ...hostFacts, before: hostFacts })
  }
  const { rules, backstop } = desired.dataplane()
  const texts = FAMILIES.flatMap((family) => [
    ...rules[family].chains.flatMap((chain) => chain.rules.map((one) => renderRule(one, family))),
    ...rules[family].hooks.flatMap(({ rule, second }) =>
      [rule, ...(second ? [second] : [])].map((one) => renderRule(one, family)),
    ),
  ])
  const groups = [{ path: 'docker/a', inode: 1, class: 3 }]
  return [...texts, renderBackstop(backstop), renderHostNetwork(groups, backstop.marks)].join('\n')
}

const MASKS = ['ff8', 'ff000000', '10000000', 'efffffff', '20000000', 'dfffffff', 'effff007', '10000ff8'].map(
  (mask) => new RegExp(`0x0*${mask}\\b`),
)

test('no rule knows bits but those that the config names', async () => {
  const [usual, moved] = [await wholeText('hostNetwork: true'), await wholeText(MOVED)]
  for (const mask of MASKS) {
    expect(usual).toMatch(mask)
    expect(moved).not.toMatch(mask)
  }
  expect(moved.split('\n')).toHaveLength(usual.split('\n').length)
})

test('on trial the rules before it know the bits of those on trial, since packets bear these', async () => {
  const text = await wholeText(MOVED, true)
  expect(text).toContain('203.0.113.0/24')
  for (const mask of MASKS) expect(text).not.toMatch(mask)
})
