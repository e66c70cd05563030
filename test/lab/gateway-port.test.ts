import { expect, test } from 'vitest'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'

/** The gateway's port belongs to the gateway: nobody on the host gets containers' questions by binding it as well. */

const lab = useLab({ name: 'port' })

/** Binds as somebody without rights, sharing the place with whoever shares it. */
const BIND = `use IO::Socket::INET; $) = $> = 65534;
  IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => 10053, Proto => 'udp', ReuseAddr => 1) or die "$!\\n";
  print "bound\\n"`

test('nobody else binds it, and containers are answered', { timeout: 120_000 }, async () => {
  const bind = async (address: string): Promise<string> => {
    const { stdout, stderr } = await lab().host(['perl', '-e', BIND, address], { okExitCodes: [0, 98] })
    return stdout + stderr
  }
  const places = ['0.0.0.0', '127.0.0.1', '172.17.0.1']
  for (const place of places) expect(await bind(place), `${place} without the gateway`).toContain('bound')
  await guard(lab(), { config: 'dns: { gateway: true }\nallow: [allowed.example]' })
  const from = await inside(lab())
  const asked = async (): Promise<string> =>
    (await from.exec(['dig', '+tries=1', '+time=2', '+short', 'allowed.example'])).stdout.trim()
  await lab().waitFor('the gateway answers', async () => (await asked()) === '203.0.113.10')
  for (const place of places) expect(await bind(place), place).toContain('Address already in use')
  expect(await asked()).toBe('203.0.113.10')
  const { stdout } = await lab().cli(['status', '--json'])
  expect(stdout).not.toContain('also held by')
})
