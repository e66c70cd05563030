import { expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { fetchPage } from './web.ts'

/** What the gateway answers, as resolvers of containers take it. */

const lab = useLab({ name: 'gateway-answers' })

/** glibc's resolver, with a search list. */
async function searching(network: string | undefined, dots: number): Promise<LabContainer> {
  return inside(lab(), {
    ...(network === undefined ? {} : { network }),
    host: { DnsSearch: ['first.example', 'second.example'], DnsOptions: [`ndots:${dots}`, 'timeout:2'] },
  })
}

const reaches = async (from: LabContainer, name: string): Promise<boolean> =>
  (await fetchPage(from, `http://${name}/`, { family: 4, timeoutMs: 3000 })).code === 0

test(
  'search lists lead to allowed names, however they are denied what comes first',
  { timeout: 120_000 },
  async () => {
    await lab().network('shop')
    await lab().inet.dns({ 'db.second.example': { a: ['203.0.113.44'] } })
    const config = (denied: string): string =>
      `dns: { gateway: true${denied} }\nallow: [allowed.example, db.second.example]`
    const daemon = await guard(lab(), { config: config('') })
    for (const network of [undefined, 'shop']) {
      const from = await searching(network, 5)
      for (const name of ['db', 'db.second.example', 'allowed.example'])
        expect(await reaches(from, name), `${network} ${name}`).toBe(true)
      expect(await reaches(from, 'forbidden.example')).toBe(false)
    }
    expect((await lab().inet.queries()).map(({ name }) => name.toLowerCase())).not.toContain(
      'db.first.example',
    )

    // An address that leads nowhere is for names that nobody's search list makes of allowed ones.
    const from = await searching(undefined, 5)
    const short = async (name: string): Promise<string> =>
      (await from.exec(['dig', '+tries=1', '+time=2', '+short', name])).stdout.trim()
    await daemon.hup(config(', denied: zero'))
    await lab().waitFor('zero is answered', async () => (await short('forbidden.example')) === '0.0.0.0')
    expect(await reaches(from, 'allowed.example')).toBe(true)
    expect(await short('allowed.example.first.example')).toBe('')

    // What it was for: after REFUSED a resolver takes the server for a broken one and asks no further domain.
    await daemon.hup(config(', denied: refused'))
    const refused = /status: REFUSED[^]*EDE: 15 \(Blocked\): \(embargod: not allowed by policy common\)/
    await lab().waitFor('it is refused', async () =>
      refused.test((await from.exec(['dig', '+tries=1', '+time=2', 'db.first.example'])).stdout),
    )
    expect(await reaches(from, 'db')).toBe(false)
  },
)

test('who knows no TCP has as many addresses as a datagram holds, and reaches each of them', async () => {
  const many = Array.from({ length: 60 }, (_, at) => `198.19.7.${at}`)
  await lab().inet.dns({
    'long.any.example': { cname: 'end-of-it.test', ttl: 60 },
    'end-of-it.test': { a: many, ttl: 60 },
  })
  await guard(lab(), { config: `dns: { gateway: true }\nallow: ['**.any.example']` })
  const from = await inside(lab())
  const ask = async (...how: string[]): Promise<string> =>
    (await from.exec(['dig', '+tries=1', '+time=2', 'long.any.example', ...how])).stdout
  const toldOf = (stdout: string): string[] => stdout.match(/(?<=\sA\s+)198\.19\.7\.\d+$/gm) ?? []
  const cut = await ask('+noedns', '+ignore')
  expect(cut).toMatch(/flags: qr tc/)
  expect(cut).toContain('end-of-it.test.')
  const told = toldOf(cut)
  expect(told.length).toBeGreaterThan(20)
  expect(told.length).toBeLessThan(40)
  for (const address of [told[0], told.at(-1)])
    expect((await fetchPage(from, `http://${address}/`)).code, address).toBe(0)
  // Of the others nobody was told yet.
  const untold = many.filter((address) => !told.includes(address))
  expect((await fetchPage(from, `http://${untold[0]}/`, { timeoutMs: 1000 })).code).not.toBe(0)
  expect(toldOf(await ask(`@${INET.otherDns}`))).toHaveLength(60)
  expect((await fetchPage(from, `http://${untold.at(-1)}/`)).code).toBe(0)
})
