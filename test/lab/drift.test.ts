import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Family } from '../../src/net/types.ts'
import type { LabContainer } from './container.ts'
import { leaksDuring } from './leaks.ts'
import { rulesOf } from './rules.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { Tools } from './tools.ts'
import { fetchPage } from './web.ts'

/** What others do to our rules and sets is put right, and lets nothing out meanwhile. */
const lab = useLab({ name: 'drift', dockerdFlags: ['--live-restore'] })

/** Long answers: what is repaired is repaired because it was seen, and not because an address was looked up. */
const CONFIG =
  'resolver: { refresh: { min: 5m, max: 5m } }\nallow: [allowed.example, { cidr: 203.0.113.12, ports: [80/tcp] }]'

beforeAll(async () => {
  await lab().network('six', { ipv6: true })
})

const tool = (family: Family) => (family === 4 ? 'iptables' : 'ip6tables')

/** Where the engine has no DOCKER-USER, as 20.10 for IPv6, the jump stands in FORWARD. */
async function parentOf(family: Family): Promise<string> {
  const first = (await rulesOf(lab(), family, 'DOCKER-USER'))[0] ?? ''
  return first.includes('-j EMBARGOD') ? 'DOCKER-USER' : 'FORWARD'
}

async function rules(): Promise<string> {
  const { stdout } = await lab().host(['iptables-save'])
  const six = await lab().host(['ip6tables-save'])
  const ours = (line: string) => line.includes('EMBARGOD') || line.startsWith(':DOCKER-USER')
  return [...stdout.split('\n'), ...six.stdout.split('\n')]
    .filter(ours)
    .map((line) => line.replace(/\[\d+:\d+\]/, ''))
    .join('\n')
}

const repairs = async (kind?: string): Promise<number> =>
  (await scrape(lab())).value('drift_repairs_total', kind === undefined ? {} : { kind }) ?? 0

const passes = async (from: LabContainer): Promise<boolean> =>
  (await fetchPage(from, 'http://203.0.113.12/', { timeoutMs: 2000 })).code === 0

interface Disturbance {
  readonly what: string
  readonly kind: string
  readonly disturb: (family: Family) => Promise<unknown>
  /** Where the same rules are not to be had again: is the host whole? */
  readonly isRepaired?: (family: Family) => Promise<boolean>
}

const jump = async (family: Family): Promise<string> =>
  (await rulesOf(lab(), family, await parentOf(family)))[0]?.replace(/^-A \S+ /, '') ?? ''

const DISTURBANCES: readonly Disturbance[] = [
  {
    what: 'the chain with our jump is flushed',
    kind: 'jump',
    disturb: async (family) => lab().host([tool(family), '-F', await parentOf(family)]),
  },
  {
    what: 'FORWARD is flushed',
    kind: 'jump',
    disturb: (family) => lab().host([tool(family), '-F', 'FORWARD']),
    // DOCKER-USER is reached no more until the engine starts, so the jump has to stand in FORWARD itself.
    isRepaired: async (family) =>
      (await rulesOf(lab(), family, 'FORWARD'))[0]?.includes('-j EMBARGOD') === true,
  },
  {
    what: 'our jump is deleted',
    kind: 'jump',
    disturb: async (family) => lab().host([tool(family), '-D', await parentOf(family), '1']),
  },
  {
    what: 'somebody puts a rule before our jump',
    kind: 'jump',
    disturb: async (family) =>
      lab().host([tool(family), '-I', await parentOf(family), '1', '-p', 'sctp', '-j', 'ACCEPT']),
  },
  {
    what: 'our jump stands twice',
    kind: 'jump',
    disturb: async (family) => {
      const parent = await parentOf(family)
      const text = await jump(family)
      await lab().host([`${tool(family)}-restore`, '--noflush'], {
        input: `*filter\n-A ${parent} ${text}\nCOMMIT\n`,
      })
    },
  },
  {
    what: 'our chain is flushed',
    kind: 'rules',
    disturb: (family) => lab().host([tool(family), '-F', 'EMBARGOD']),
  },
  {
    what: 'the chain of verdicts is flushed',
    kind: 'rules',
    disturb: (family) => lab().host([tool(family), '-F', 'EMBARGOD-JUDGE']),
  },
  {
    what: 'an accepting rule is put into our chain',
    kind: 'rules',
    disturb: (family) => lab().host([tool(family), '-I', 'EMBARGOD', '1', '-p', 'sctp', '-j', 'ACCEPT']),
  },
  {
    what: 'a rule of ours is deleted',
    kind: 'rules',
    disturb: (family) => lab().host([tool(family), '-D', 'EMBARGOD-JUDGE', '1']),
  },
  {
    what: 'the raw table is flushed',
    kind: 'jump',
    disturb: (family) => lab().host([tool(family), '-t', 'raw', '-F']),
  },
]

describe.each([4, 6] as const)('IPv%i', (family) => {
  test('whatever is done to the rules is undone within a second, is counted, and leaks nothing', async () => {
    const from = await inside(lab(), { network: 'six' })
    await guard(lab(), { config: CONFIG })
    for (const { what, kind, disturb, isRepaired } of DISTURBANCES) {
      const before = await rules()
      const isAsBefore = async (): Promise<boolean> => (await rules()) === before
      const counted = await repairs(kind)
      let goneMs = 0
      const leaked = await leaksDuring(
        lab(),
        from,
        async () => {
          await disturb(family)
          const atMs = Date.now()
          await lab().waitFor(`${what}: repaired`, () => isRepaired?.(family) ?? isAsBefore(), 3000)
          goneMs = Date.now() - atMs
        },
        { seconds: 4, families: [family] },
      )
      expect(leaked, what).toBe(0)
      // Reading the rules back is part of the time.
      expect(goneMs, what).toBeLessThan(1000)
      await lab().waitFor(`${what}: counted`, async () => (await repairs(kind)) > counted, 3000)
      // What the engine had in FORWARD is its own business: it has to be put back by whoever flushed it.
      if (what.startsWith('FORWARD')) {
        await lab().restartEngine()
        // Until our jump has followed it, the first rule of FORWARD is the engine's, and the next disturbance would take that.
        const argv = ['plan', '--config', lab().embargod.configFile]
        await lab().waitFor('our jump has its place', async () => (await lab().cli(argv)).code === 0, 10_000)
      }
      await lab().waitFor(`${what}: what is allowed passes`, () => passes(from), 5000)
    }
  }, 240_000)
})

describe('sets and the second guard', () => {
  const setOf = async (element: string): Promise<string> => {
    const { stdout } = await lab().host(['ipset', 'save'])
    const line = stdout
      .split('\n')
      .find((text) => text.includes(` ${element} `) && text.includes('embargod-common'))
    return line?.split(' ')[1] ?? ''
  }
  const holds = async (set: string, element: string): Promise<boolean> =>
    (await lab().host(['ipset', 'save', set])).stdout.includes(`add ${set} ${element} `)

  test('a flushed set, a deleted element and a stranger are put right', async () => {
    const from = await inside(lab())
    await guard(lab(), { config: CONFIG })
    const set = await setOf('203.0.113.12')
    expect(set).toMatch(/^embargod-/)
    expect(await passes(from)).toBe(true)
    const before = await repairs('set')

    await lab().host(['ipset', 'flush', set])
    await lab().waitFor('the flushed set is full', () => holds(set, '203.0.113.12'), 6000)
    await lab().waitFor('it is counted', async () => (await repairs('set')) > before, 3000)
    await lab().host(['ipset', 'del', set, '203.0.113.12'])
    await lab().waitFor('the element is back', () => holds(set, '203.0.113.12'), 6000)
    expect(await passes(from)).toBe(true)

    await lab().host(['ipset', 'add', set, '203.0.113.66'])
    await lab().waitFor('the stranger is gone', async () => !(await holds(set, '203.0.113.66')), 6000)
    // One for another: the number of elements says nothing.
    await lab().host(['ipset', '-exist', 'restore'], {
      input: `del ${set} 203.0.113.12\nadd ${set} 203.0.113.66\n`,
    })
    await lab().waitFor(
      'the exchanged element is gone',
      async () => !(await holds(set, '203.0.113.66')),
      30_000,
    )
    expect(await holds(set, '203.0.113.12')).toBe(true)
  })

  test('a deleted backstop is back within a second', async () => {
    const from = await inside(lab())
    await guard(lab(), { config: CONFIG })
    const present = async () =>
      (await lab().host(['nft', 'list', 'tables'])).stdout.includes('embargod-guard')
    const before = await repairs('backstop')
    const leaked = await leaksDuring(
      lab(),
      from,
      async () => {
        await lab().host(['nft', 'delete', 'table', 'inet', 'embargod-guard'])
        await lab().waitFor('the table is back', present, 1000)
        await lab().host(['nft', 'flush', 'chain', 'inet', 'embargod-guard', 'forward'])
        await lab().waitFor(
          'its rules are back',
          async () => {
            const { stdout } = await lab().host(['nft', 'list', 'table', 'inet', 'embargod-guard'])
            return stdout.includes('not approved')
          },
          1000,
        )
      },
      { seconds: 5 },
    )
    expect(leaked).toBe(0)
    await lab().waitFor('both are counted', async () => (await repairs('backstop')) >= before + 2, 3000)
  })

  test('after the whole ruleset was flushed both guards come back by themselves', async () => {
    const from = await inside(lab())
    await guard(lab(), { config: CONFIG })
    await lab().host(['nft', 'flush', 'ruleset'])
    await lab().waitFor(
      'both guards stand',
      async () => {
        const tables = (await lab().host(['nft', 'list', 'tables'])).stdout
        return tables.includes('embargod-guard') && (await rules()).includes('-A FORWARD')
      },
      3000,
    )
    await lab().farEnd.reset()
    expect((await fetchPage(from, 'http://203.0.113.66/', { timeoutMs: 1000 })).code).not.toBe(0)
    expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
    await lab().restartEngine()
  })
})

test('an untouched host sees no writes', async () => {
  const from = await inside(lab())
  // So that the first pass has something to write, and the count of writes is known to count.
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  const tools = await Tools.install(lab(), 'untouched')
  await guard(lab(), { config: CONFIG, env: { PATH: tools.path } })
  expect(await passes(from)).toBe(true)
  expect((await tools.writes()).length).toBeGreaterThan(0)
  await sleep(3000)
  const monitor = lab().service('host', ['nft', 'monitor'])
  await tools.forget()
  const before = await scrape(lab())
  await sleep(60_000)
  const after = await scrape(lab())
  await monitor.stop('SIGKILL')
  // The daemon's own proof falls into this minute. It makes tables of its own and takes them away; nothing else is written.
  expect((await tools.writes()).filter((call) => call !== 'nft -f -')).toEqual([])
  const changes = monitor.log
    .split('\n')
    .filter((line) => /^(add|insert|delete|replace|flush) /.test(line) && !line.includes(' embargod-verify'))
  expect(changes).toEqual([])
  // It has looked all the same.
  expect(after.value('reconcile_total', { trigger: 'timer' })).toBeGreaterThan(
    before.value('reconcile_total', { trigger: 'timer' }) ?? 0,
  )
})
