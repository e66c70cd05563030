import { describe, expect, test } from 'vitest'
import { check } from '../../../src/cli/check.ts'
import { formatProblem } from '../../../src/config/problem.ts'
import { guardProblem, nameNotes } from '../../../src/status/guard-names.ts'
import { nameProblems } from '../../../src/policy/name-problems.ts'
import { parseInventory } from '../../../src/workloads/inventory.ts'
import { containerJson, defaultBridgeJson, networkJson } from '../../support/docker-json.ts'
import { configOf } from '../../support/builders.ts'
import { fakeEnv, load, MAIN } from '../config/files.ts'

const named = (name: string, fields = {}) =>
  networkJson({ Name: name, Id: name.padEnd(64, '0').replaceAll(/[^0-9a-f]/g, 'a'), ...fields })
const { value: inventory } = parseInventory({
  networks: [
    defaultBridgeJson(),
    networkJson(),
    named('payments'),
    named('lan', { Driver: 'macvlan' }),
    named('x'.repeat(100_000)),
  ],
  containers: [
    containerJson({
      Config: { Labels: { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web' } },
    }),
  ],
})

const reload = async (yaml: string, seen?: string[]): Promise<string[]> =>
  nameProblems(await load(yaml), inventory, new Set(seen)).map((problem) =>
    formatProblem(problem).replace('/etc/embargod/embargod.yaml:', ''),
  )
const listed = (...networks: string[]) => ({ networks, except: [] as string[] })

describe('a list of networks to guard', () => {
  test('that names none that is there is refused, each name with its place and what may have been meant', async () => {
    expect(await reload('guard:\n  networks: [payment, shopdefault]\n')).toEqual([
      '2:14: no network payment; did you mean payments?: guard.networks names none that there is, so nothing would be guarded',
      '2:23: no network shopdefault; did you mean shop_default?: guard.networks names none that there is, so nothing would be guarded',
    ])
  })

  test('that names one of them is taken with a warning, as is one whose network was there before', async () => {
    const warned = '1:21: warning: no network gone'
    expect(await reload('guard: { networks: [gone, payments] }\n')).toEqual([warned])
    expect(await reload('guard: { networks: [gone] }\n', ['gone'])).toEqual([warned])
  })

  test('is refused when all that it names has no bridge here', async () =>
    expect(await reload('guard: { networks: [lan] }\n')).toHaveLength(1))

  test.each([
    ['all', { networks: 'all' as const, except: ['nobody'] }, [], undefined],
    ['one that is there', listed('payments'), [], undefined],
    ['one that is there and one that may come', listed('payments', 'else'), [], undefined],
    ['one that was there', listed('gone'), ['gone'], undefined],
    [
      'none',
      listed('paymets', 'gone'),
      [],
      /no network paymets; did you mean payments\?, no network gone.*every network is guarded/,
    ],
    ['an empty list, which says what it means', listed(), [], undefined],
    [
      'one that is there, and one misspelt',
      listed('shop_default', 'paymets'),
      [],
      /open that is likely meant .*payments/,
    ],
    [
      'one that is there, and one misspelt that was there before',
      listed('shop_default', 'paymets'),
      ['paymets'],
      undefined,
    ],
    ['one whose like is listed too', listed('payments', 'paymets'), [], undefined],
  ])('of %s in status', (_what, guard, seen, said) => {
    const problem = guardProblem(guard, inventory, new Set(seen))
    if (said === undefined) expect(problem).toBeUndefined()
    else expect(problem).toMatch(said)
  })
})

test('of an engine that was not heard nothing is known', () => {
  expect(guardProblem(listed('paymets'), undefined)).toBeUndefined()
})

test('names that nothing bears are notes, wherever they stand', async () => {
  const config = await configOf(`
guard: { except: [paymets, payments] }
policies:
  a: { match: { network: shop_defautl } }
  b: { match: [{ container: shop-web-2 }, { container: 'shop-*' }, { container: 'crawler-*' }] }
  c: { match: [{ compose: shopp }, { compose: shop/weeb }, { compose: shop/web }, { network: host }] }
  d: { match: { label: role=nobody } }
`)
  expect(nameNotes(config, inventory)).toEqual([
    'guard.except: no network paymets; did you mean payments?',
    'policies.a.match.network: no network shop_defautl; did you mean shop_default?',
    'policies.b.match.container: no container shop-web-2; did you mean shop-web-1?',
    'policies.b.match.container: no container crawler-*',
    'policies.c.match.compose: no compose project shopp; did you mean shop?',
    'policies.c.match.compose: no service in compose project shop that is called weeb; did you mean web?',
  ])
  expect(nameNotes(config, undefined)).toEqual([])
})

test('thousands of names that nothing bears take no time, and a few lines', async () => {
  const networks = Array.from({ length: 2_000 }, (_, i) => named(`there-with-a-long-name-${i}`))
  const large = parseInventory({ networks, containers: [] }).value
  const config = await configOf(
    `guard: { except: [${Array.from({ length: 2_000 }, (_, i) => `their-with-a-long-nam-${i}x`).join()}] }\n`,
  )
  const startedMs = performance.now()
  const notes = nameNotes(config, large)
  expect(performance.now() - startedMs).toBeLessThan(3_000)
  expect(notes).toHaveLength(21)
  expect(notes.at(-1)).toBe('1980 more names in the config that nothing bears')
})

describe('check', () => {
  const checked = async (yaml: string, hasEngine = true) => {
    const lines: string[] = []
    let questions = 0
    const ask = async () => {
      questions += 1
      return hasEngine ? inventory : undefined
    }
    const code = await check(MAIN, fakeEnv({ [MAIN]: yaml }), (line) => lines.push(line), ask)
    return { code, said: lines.join('\n'), questions }
  }

  test('asks the engine where the config names anything', async () => {
    expect(await checked('guard: { networks: [paymets] }\n')).toMatchObject({
      code: 2,
      said: expect.stringMatching(/:1:21: no network paymets; did you mean payments\?.*refused: 1 error/s),
    })
    expect(await checked('guard: { except: [paymets] }\n')).toMatchObject({
      code: 0,
      said: expect.stringMatching(/warning: no network paymets.*accepted with 1 warning/s),
    })
    expect(await checked('allow: [a.example]\n')).toMatchObject({ code: 0, questions: 0 })
  })

  test('goes without where there is no engine', async () =>
    expect(await checked('guard: { networks: [paymets] }\n', false)).toMatchObject({
      code: 0,
      questions: 1,
    }))
})
