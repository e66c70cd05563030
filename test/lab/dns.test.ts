import { describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Lab } from './lab.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { fetchPage } from './web.ts'

/** Under default drop containers still resolve names, however the engine hands resolvers to them, and ask nobody else. */

const NETWORKS = ['bridge', 'shop', 'tailored'] as const

async function containersIn(host: Lab): Promise<ReadonlyMap<string, LabContainer>> {
  await host.network('shop', { ipv6: true })
  await host.network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  const containers = new Map<string, LabContainer>()
  for (const network of NETWORKS) containers.set(network, await host.container({ network }))
  return containers
}

const dig = async (from: LabContainer, ...args: string[]) =>
  from.exec(['dig', '+tries=1', '+time=1', '+short', ...args])

describe.each(['flag', 'host'] as const)('resolvers by %s', (dns) => {
  const lab = useLab({ name: `dns-${dns}`, dns })
  let containers: ReadonlyMap<string, LabContainer>

  const each = async (task: (from: LabContainer, network: string) => Promise<void>): Promise<void> => {
    expect(containers.size).toBe(NETWORKS.length)
    for (const [network, from] of containers) await task(from, network)
  }

  test('unguarded, any resolver answers', async () => {
    containers = await containersIn(lab())
    await each(async (from, network) => {
      for (const server of [INET.dns, INET.otherDns])
        expect((await dig(from, `@${server}`, 'allowed.example')).stdout, network).toBe('203.0.113.10\n')
    })
    expect((await dig(containerOf('shop'), `@${INET.otherDns6}`, 'allowed.example')).stdout).toBe(
      '203.0.113.10\n',
    )
  })

  test('guarded, the resolvers in use answer: by name, UDP and TCP, and pages load', async () => {
    await lab().daemon({ config: 'allow: [allowed.example]' })
    await each(async (from, network) => {
      for (const options of [[], ['+tcp']])
        expect((await dig(from, ...options, 'forbidden.example')).stdout, network).toBe('203.0.113.66\n')
      expect((await dig(from, 'allowed.example', 'AAAA')).stdout, network).toBe('2001:db8:f::10\n')
      for (const family of [4, 6] as const)
        expect(
          await fetchPage(from, 'http://allowed.example/', { family }),
          `${network}, IPv${family}`,
        ).toMatchObject({ code: 0 })
      expect((await dig(from, `@${INET.dns}`, 'allowed.example')).stdout, network).toBe('203.0.113.10\n')
    })
  })

  test('no other resolver is reached, nor any other port of the one in use', async () => {
    await lab().farEnd.reset()
    await each(async (from, network) => {
      for (const server of [INET.otherDns, INET.otherDns6])
        for (const options of [[], ['+tcp']])
          expect((await dig(from, ...options, `@${server}`, 'allowed.example')).code, network).not.toBe(0)
      expect((await fetchPage(from, `http://${INET.dns}/`, { timeoutMs: 1000 })).code, network).toBe(28)
    })
    for (const server of [INET.otherDns, INET.otherDns6]) expect(await lab().farEnd.count(server)).toBe(0)
    expect(await lab().farEnd.count(INET.dns, { proto: 'tcp', port: 80 })).toBe(0)
  })

  test('a container with resolvers of its own is denied them, and that it can tunnel is said', async () => {
    const own = await lab().container({ network: 'shop', name: 'own-dns', dns: [INET.otherDns] })
    await lab().farEnd.reset()
    expect((await dig(own, 'allowed.example')).stdout).not.toContain('203.0.113.10')
    expect(await lab().farEnd.count(INET.otherDns)).toBe(0)
    expect((await scrape(lab())).value('unprotected', { reason: 'dns-tunnel' })).toBeGreaterThanOrEqual(1)
    expect((await lab().cli(['status'])).stdout).toContain('dns-tunnel')
    await own.stop()
  })

  test('a network made under the guard resolves at once, in both families guarded', async () => {
    const network = await lab().network('late', { ipv6: true, bridge: 'late-net.1' })
    const from = await lab().container({ network: 'late' })
    await lab().farEnd.reset()
    expect((await dig(from, 'allowed.example')).stdout).toBe('203.0.113.10\n')
    for (const url of ['http://203.0.113.66/', 'http://[2001:db8:f::66]/'])
      expect((await fetchPage(from, url, { timeoutMs: 1000 })).code).not.toBe(0)
    expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
    expect(await lab().farEnd.count('2001:db8:f::66')).toBe(0)
    for (const family of [4, 6] as const)
      expect(await fetchPage(from, 'http://allowed.example/', { family })).toMatchObject({ code: 0 })
    await from.stop()
    await network.remove()
  })

  const containerOf = (network: string): LabContainer => {
    const found = containers.get(network)
    if (!found) throw new Error(`no container in ${network}`)
    return found
  }
})
