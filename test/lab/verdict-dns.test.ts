import { beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'

/** Names are asked of the resolvers in use, and of nobody else. */
const lab = useLab({ name: 'dns' })

const WAYS = [
  ['UDP over IPv4', INET.dns, INET.otherDns, []],
  ['TCP over IPv4', INET.dns, INET.otherDns, ['+tcp']],
  ['UDP over IPv6', INET.dns6, INET.otherDns6, []],
  ['TCP over IPv6', INET.dns6, INET.otherDns6, ['+tcp']],
] as const

const ask = async (from: LabContainer, server: string, ...more: readonly string[]): Promise<boolean> =>
  (
    await from.exec(['dig', '+short', '+tries=1', '+time=2', ...more, `@${server}`, 'allowed.example', 'A'])
  ).stdout.includes('203.0.113.10')

const shared = new Map<string, LabContainer>()
const from = (network: string): LabContainer => {
  const container = shared.get(network)
  if (!container) throw new Error(`no container in ${network}`)
  return container
}
const NETWORKS = ['bridge', 'shop', 'tailored'] as const

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  for (const network of NETWORKS) shared.set(network, await lab().container({ network }))
  // Its questions are revoked later: another one's must be judged by the policy alone.
  shared.set('before', await lab().container({ network: 'shop' }))
})

test.each(WAYS)('without the guard both servers answer: %s', async (_, used, other, more) => {
  expect(await ask(from('before'), used, ...more)).toBe(true)
  expect(await ask(from('before'), other, ...more)).toBe(true)
})

describe('under the guard', () => {
  beforeAll(async () => {
    // The engine says --dns with the IPv4 server; the IPv6 one is the host's own.
    await lab().writeHostFile('/etc/resolv.conf', `nameserver ${INET.dns}\nnameserver ${INET.dns6}\n`)
    await lab().daemon({ config: 'allow: [allowed.example]' })
  })

  describe.each(NETWORKS)('from network %s', (network) => {
    test.each(WAYS)(
      'the resolver in use answers, another one is not even asked: %s',
      async (_, used, other, more) => {
        await lab().farEnd.reset()
        expect(await ask(from(network), used, ...more)).toBe(true)
        expect(await ask(from(network), other, ...more)).toBe(false)
        expect(await lab().farEnd.count(other)).toBe(0)
      },
    )

    test('another port of the resolver is closed', async () => {
      await lab().farEnd.reset()
      expect((await from(network).exec(['nc', '-w', '1', INET.dns, '80'])).code).not.toBe(0)
      expect(await lab().farEnd.count(INET.dns, { proto: 'tcp', port: 80 })).toBe(0)
    })
  })

  test('names resolve through the libc of a user network, by the embedded server', async () => {
    const { stdout } = await from('shop').exec(['curl', '-4', '-sS', 'http://allowed.example/'])
    expect(stdout).toContain('hello from 203.0.113.10')
  })

  test.each(['bridge', 'shop'])(
    'a container of %s with a --dns of its own is denied, and named',
    async (network) => {
      const stray = await lab().container({ network, dns: [INET.otherDns], name: `stray-${network}` })
      await lab().farEnd.reset()
      const { code } = await stray.exec(['curl', '-4', '-sS', '--max-time', '4', 'http://allowed.example/'])
      expect(code).not.toBe(0)
      expect(await lab().farEnd.count(INET.otherDns)).toBe(0)
      await lab().waitFor('the operator reads its name', async () =>
        (await lab().cli(['status'])).stdout.includes(`stray-${network}`),
      )
      await stray.stop()
    },
  )

  test('without a gateway the way out through DNS is named', async () => {
    const { stdout } = await lab().cli(['status', '--json'])
    const { unprotected }: { unprotected: { reason: string }[] } = JSON.parse(stdout)
    expect(unprotected.map(({ reason }) => reason)).toContain('dns-tunnel')
  })
})
