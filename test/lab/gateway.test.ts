import { describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { inside, guard } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { fetchPage } from './web.ts'
import { heldBy } from './witness.ts'

/** The gateway in the path: a name works at its first packet, what is not allowed is not answered, and nobody asks past it. */

const lab = useLab({ name: 'gateway' })

const CONFIG = `
dns: { gateway: true }
denyWith: reject
allow: [allowed.example, '*.one.example', '**.any.example']
policies:
  web:
    match: { network: web }
    allow: [only.example]
`

const dig = async (from: LabContainer, ...args: string[]) =>
  from.exec(['dig', '+tries=1', '+time=2', '+short', ...args])
const status = async (from: LabContainer, ...args: string[]): Promise<string> => {
  const { stdout } = await from.exec(['dig', '+tries=1', '+time=2', ...args])
  return /status: (\w+)/.exec(stdout)?.[1] ?? stdout
}
const asked = async (): Promise<readonly string[]> =>
  (await lab().inet.queries()).map(({ name }) => name.toLowerCase())

describe('a guarded host', () => {
  test('answers what is allowed, and opens it before the answer leaves', async () => {
    await lab().network('shop', { ipv6: true })
    await lab().network('web', { ipv6: true })
    await lab().inet.dns({
      'a.one.example': { a: ['203.0.113.31'], aaaa: ['2001:db8:f::31'], ttl: 5 },
      'b.one.example': { cname: 'elsewhere.test', ttl: 5 },
      'elsewhere.test': { a: ['203.0.113.32'], ttl: 5 },
      'one.example': { a: ['203.0.113.33'] },
      'x.a.one.example': { a: ['203.0.113.34'] },
      'x.y.any.example': { a: ['203.0.113.35'] },
      'evilany.example': { a: ['203.0.113.36'] },
      'only.example': { a: ['203.0.113.37'] },
      'inner.any.example': { a: ['10.9.9.9', INET.metadata] },
    })
    await guard(lab(), { config: CONFIG })
    const [shop, plain] = [await inside(lab(), { network: 'shop' }), await inside(lab())]
    for (const from of [shop, plain]) {
      for (const [name, address] of [
        ['allowed.example', '203.0.113.10'],
        ['A.one.EXAMPLE.', '203.0.113.31'],
        ['x.y.any.example', '203.0.113.35'],
      ] as const)
        for (const how of [[], ['+tcp'], [`@${INET.otherDns}`]])
          expect((await dig(from, name, ...how)).stdout.trim(), `${name} ${how.join()}`).toBe(address)
      for (const name of ['a.one.example', 'b.one.example', 'x.y.any.example'])
        expect((await fetchPage(from, `http://${name}/`, { family: 4 })).code, name).toBe(0)
    }
    expect((await fetchPage(shop, 'http://a.one.example/', { family: 6 })).code).toBe(0)
    expect((await dig(shop, `@${INET.otherDns6}`, 'a.one.example', 'AAAA')).stdout.trim()).toBe(
      '2001:db8:f::31',
    )
    expect(await heldBy(lab(), '*.one.example')).toEqual(
      expect.arrayContaining(['203.0.113.31', '2001:db8:f::31', '203.0.113.32']),
    )

    // What nobody allowed is not even asked for.
    await lab().inet.forget()
    for (const name of [
      'forbidden.example',
      'one.example',
      'x.a.one.example',
      'any.example',
      'evilany.example',
    ])
      for (const how of [[], ['+tcp'], [`@${INET.otherDns}`]])
        expect(await status(shop, name, ...how), name).toBe('REFUSED')
    for (const type of ['TXT', 'NULL', 'ANY', 'HTTPS'])
      expect(await status(shop, 'secret.forbidden.example', type), type).toBe('REFUSED')
    expect((await asked()).filter((name) => name.endsWith('forbidden.example'))).toEqual([])

    // Private and metadata addresses are no answers.
    expect((await dig(shop, 'inner.any.example')).stdout).toBe('')

    // Who has other rights is answered by those.
    expect(await status(shop, 'only.example')).toBe('REFUSED')
    const web = await inside(lab(), { network: 'web', name: 'web-1' })
    expect((await dig(web, 'only.example')).stdout.trim()).toBe('203.0.113.37')
    expect((await fetchPage(web, 'http://only.example/', { family: 4 })).code).toBe(0)
    expect((await fetchPage(shop, 'http://203.0.113.37/')).code).not.toBe(0)
    expect(await status(web, 'forbidden.example')).toBe('REFUSED')

    const metrics = await scrape(lab())
    expect(
      metrics.value('dns_queries_total', { policy: 'common+web', outcome: 'denied', type: 'A' }),
    ).toBeGreaterThan(0)
    expect(metrics.value('unprotected', { reason: 'dns-tunnel' })).toBe(0)
    expect((await lab().cli(['plan', '--config', lab().embargod.configFile])).stdout).toContain(
      'nothing to do',
    )
  })
})
