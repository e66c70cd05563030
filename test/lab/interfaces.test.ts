import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { Neighbour } from './neighbour.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage, LiveConnection } from './web.ts'

/** Which bridges are guarded, and which are left to whoever they belong to. */
const lab = useLab({ name: 'interfaces' })

const FORBIDDEN = '203.0.113.66'
const reaches = async (from: LabContainer, address: string): Promise<boolean> =>
  (await fetchPage(from, `http://${address}/`, { timeoutMs: 1500 })).code === 0

async function behind(bridge: string): Promise<Neighbour> {
  const neighbour = await Neighbour.behind(lab(), bridge)
  onTestFinished(() => neighbour.remove())
  return neighbour
}

const statusNow = async (): Promise<{
  readonly networks: readonly { readonly bridge: string; readonly guarded: boolean; readonly why: string }[]
  readonly unprotected: readonly { readonly reason: string; readonly subject: string }[]
}> => JSON.parse((await lab().cli(['status', '--json'])).stdout)

const leftAlone = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await statusNow()).networks.filter(({ guarded }) => !guarded).map(({ bridge, why }) => [bridge, why]),
  )
const foreign = async (): Promise<readonly string[]> =>
  (await statusNow()).unprotected
    .filter(({ reason }) => reason === 'foreign-bridge')
    .map(({ subject }) => subject)

describe('networks by name', () => {
  beforeAll(async () => {
    await lab().network('shop')
    await lab().network('office', { bridge: 'office0' })
  })

  test.each([
    ['all', 'guard: { networks: all }', []],
    ['all but some', 'guard: { except: [office] }', ['office']],
    ['some', 'guard: { networks: [shop] }', ['office', 'bridge']],
  ])('%s: those are open, and only those', async (_, choice, open) => {
    await guard(lab(), { config: `${choice}\nallow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]` })
    for (const network of ['bridge', 'shop', 'office']) {
      const from = await inside(lab(), { network })
      expect(await reaches(from, '203.0.113.12'), network).toBe(true)
      expect(await reaches(from, FORBIDDEN), network).toBe(open.includes(network))
    }
    expect(Object.values(await leftAlone())).toEqual(open.map(() => 'excepted network'))
  })

  test('a reload guards what was excepted, and cuts what went by it', async () => {
    const daemon = await guard(lab(), { config: 'guard: { except: [office] }' })
    const from = await inside(lab(), { network: 'office' })
    const live = await LiveConnection.open(from, `http://${FORBIDDEN}:443`)
    await daemon.hup('guard: { except: [] }')
    await lab().waitFor('it is closed', async () => !(await reaches(from, FORBIDDEN)))
    await lab().waitFor('the connection is cut', async () => !(await live.flows()))
    expect(await leftAlone()).toEqual({})
  })
})

describe("bridges that are not the engine's", () => {
  test('made while the daemon runs, they are let through within seconds; `br-…` ones are reported', async () => {
    await guard(lab(), { config: 'allow: []' })
    for (const bridge of ['virbr9', 'br-lan']) {
      const neighbour = await behind(bridge)
      await lab().waitFor(`${bridge} is let through`, () => neighbour.reaches(FORBIDDEN, 0.3), 6000)
    }
    await lab().waitFor('the metric says so', async () => {
      return (await scrape(lab())).value('unprotected', { reason: 'foreign-bridge' }) === 1
    })
    expect(await foreign()).toEqual(['br-lan'])
    expect(await leftAlone()).toEqual({ 'br-lan': 'not a Docker bridge', virbr9: 'not a Docker bridge' })
    expect(await reaches(await inside(lab()), FORBIDDEN)).toBe(false)
  })

  test('found at the start, they are never closed', async () => {
    // An earlier daemon closes what it has not seen: a bridge of a name that it knew is another one.
    expect(await lab().cli(['cleanup', '--yes', '--stop'])).toMatchObject({ code: 0 })
    const neighbour = await behind('virbr9')
    let [tries, failures] = [0, 0]
    const over = new AbortController()
    const visits = (async () => {
      while (!over.signal.aborted) {
        tries += 1
        if (!(await neighbour.reaches(FORBIDDEN, 2))) failures += 1
      }
    })()
    await guard(lab(), { config: 'allow: []' })
    over.abort()
    await visits
    expect(tries).toBeGreaterThan(2)
    expect(failures).toBe(0)
  })

  test('one that goes leaves the report', async () => {
    await guard(lab(), { config: 'allow: []' })
    const neighbour = await Neighbour.behind(lab(), 'br-lan')
    await lab().waitFor('it is reported', async () => (await foreign()).length === 1)
    await neighbour.remove()
    await lab().waitFor('it is no more', async () => (await foreign()).length === 0)
  })

  test('one of the name that the engine gives is closed, whoever made it', async () => {
    const neighbour = await behind('br-0123456789ab')
    await guard(lab(), { config: "guard: { ignoreInterfaces: ['br-*'] }" })
    expect(await neighbour.reaches(FORBIDDEN)).toBe(false)
    expect(await foreign()).toEqual([])
  })
})

describe('guard.ignoreInterfaces', () => {
  test('with a trailing * opens every such bridge, those to come too, and reports none', async () => {
    await guard(lab(), { config: "guard: { ignoreInterfaces: ['virbr*', 'br-lan*'] }" })
    for (const bridge of ['virbr', 'virbr12', 'br-lan', 'br-lan.7']) {
      const neighbour = await behind(bridge)
      await lab().waitFor(`${bridge} is let through`, () => neighbour.reaches(FORBIDDEN, 0.3))
    }
    expect(Object.values(await leftAlone())).toEqual(Array.from({ length: 4 }, () => 'ignored interface'))
    expect(await foreign()).toEqual([])
    expect(await reaches(await inside(lab()), FORBIDDEN)).toBe(false)
  })

  test('without an engine it opens what it names, and nothing like it', async () => {
    const named = await behind('virbr1')
    const other = await behind('vibr1')
    const longer = await behind('lxc01')
    await lab().killEngine()
    try {
      await guard(lab(), { config: "guard: { ignoreInterfaces: ['virbr*', lxc0] }", wait: false })
      await lab().waitFor(
        'the policy stands',
        async () =>
          (await scrape(lab()).catch(() => undefined))?.value('enforcing', { guard: 'rules' }) === 1,
        20_000,
      )
      await lab().waitFor('what is named is let through', () => named.reaches(FORBIDDEN))
      expect(await other.reaches(FORBIDDEN)).toBe(false)
      expect(await longer.reaches(FORBIDDEN)).toBe(false)
    } finally {
      await lab().engine.start()
    }
  })
})
