import { expect, test } from 'vitest'
import { holdChains, holdRules } from '../../../src/dataplane/chains/hold.ts'
import type { BuildInput } from '../../../src/dataplane/build-input.ts'
import { DEFAULT_MARKS } from '../../../src/config/marks.ts'
import { HELD_PACKET, PORT_BITS } from '../../../src/dataplane/names.ts'
import { renderRule } from '../../../src/targets/iptables/render.ts'

const input = (holds: boolean): BuildInput =>
  ({
    holds,
    interfaces: {
      guarded: ['shop0'],
      stacked: [],
      open: [{ name: 'virbr0', index: 3, isDocker: false, why: 'ignored' }],
    },
  }) as unknown as BuildInput

const told = (holds: boolean): string[] => [
  ...holdRules(input(holds)).map((rule) => `RAW ${bare(renderRule(rule, 4))}`),
  ...holdChains(input(holds)).flatMap(({ name, rules }) =>
    rules.map((rule) => `${name.replace('EMBARGOD-', '')} ${bare(renderRule(rule, 4))}`),
  ),
]
const bare = (rule: string): string => rule.replace(/-m comment --comment "[^"]*" /, '')

test('packets of guarded bridges go to the queue, and those of any other lose the mark', () => {
  expect(told(true)).toEqual([
    'RAW -m mark --mark 0x80000000/0x80000000 -j EMBARGOD-FRESH',
    'FRESH -i virbr0 -g EMBARGOD-UNHELD',
    'FRESH -i docker0 -g EMBARGOD-HOLD',
    'FRESH -i docker_gwbridge -g EMBARGOD-HOLD',
    'FRESH -i br-+ -g EMBARGOD-HOLD',
    'FRESH -i shop0 -g EMBARGOD-HOLD',
    'FRESH -j MARK --set-xmark 0x0/0xffffffff',
    'HOLD -j NFQUEUE --queue-num 25967',
    'UNHELD -j MARK --set-xmark 0x0/0xffffffff',
  ])
})

test('nothing of it stands where nothing is held', () => {
  expect(told(false)).toEqual([])
})

test('the mark on the way to the queue says nothing of rights, and approves nothing', () => {
  const held = (HELD_PACKET | PORT_BITS.mask) >>> 0
  const { approval, rights, hostNetwork } = DEFAULT_MARKS
  for (const bits of [approval, rights, hostNetwork]) expect(held & bits).toBe(0)
})
