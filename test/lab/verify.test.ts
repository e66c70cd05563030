import { beforeAll, describe, expect, test } from 'vitest'
import type { CliResult } from './embargod.ts'
import { useLab } from './shared-lab.ts'

/** `verify` tries every guarded network in both families, and names what it did not try. */
const lab = useLab({ name: 'verify' })

const verify = (): Promise<CliResult> =>
  lab().cli(['verify', '--config', lab().embargod.configFile], { timeoutMs: 60_000 })
const linesOf = ({ stdout }: CliResult, word: string): string[] =>
  stdout.split('\n').filter((line) => line.startsWith(word))

beforeAll(async () => {
  // The engine lists the newest first.
  await lab().network('shop', { ipv6: true })
  await lab().network('named', { bridge: 'named0', ipv6: true })
  await lab().network('inner', { internal: true })
  await lab().network('old')
  // Nothing is allowed in IPv6: both guards are proven there all the same.
  const daemon = await lab().daemon({ config: 'allow: [203.0.113.10]\n' })
  // The rules stand without it, and nobody repairs them.
  await daemon.term()
})

test('what is not tried is named with the reason, and the rest is proven', async () => {
  const result = await verify()
  expect(result.code, result.stdout).toBe(0)
  expect(linesOf(result, 'FAIL')).toEqual([])
  for (const network of ['bridge', 'old', 'shop', 'named'])
    expect(result.stdout).toMatch(new RegExp(`ok   IPv4, network ${network}: .*stopped by the backstop`))
  for (const network of ['shop', 'named']) {
    expect(result.stdout).toMatch(new RegExp(`ok   IPv6, network ${network}: forbidden .*by the rules`))
    expect(result.stdout).toMatch(new RegExp(`ok   IPv6, network ${network}: a reply .*by the backstop`))
    expect(result.stdout).toMatch(new RegExp(`skip IPv6, network ${network}: allowed traffic`))
  }
  expect(result.stdout).toMatch(/skip network inner \(it is internal/)
  expect(result.stdout).toMatch(/skip IPv6, network old \(its bridge has no IPv6 address\)/)
})

/** Each disturbance of one family alone, what undoes it, and what has to be said on the networks that have it. */
test.each<[what: string, disturb: string, undo: string, said: RegExp]>([
  [
    'the rules for IPv6 are out of the path',
    'ip6tables-save >/run/verify.v6 && ip6tables -F FORWARD',
    'ip6tables-restore </run/verify.v6',
    /FAIL IPv6: the rules are in the path/,
  ],
  [
    "the backstop's verdict for IPv6 is open",
    'nft insert rule inet embargod-guard forward meta nfproto ipv6 accept',
    'nft delete rule inet embargod-guard forward handle $(nft -a list chain inet embargod-guard forward | sed -n "s/.*nfproto ipv6 accept # handle //p")',
    /FAIL IPv6, network shop: a reply .*backstop/,
  ],
  [
    'somebody lets one network out in IPv4',
    'iptables -I EMBARGOD 1 -i named0 -j RETURN',
    'iptables -D EMBARGOD 1',
    /FAIL IPv4, network named: forbidden/,
  ],
])('not proven when %s', async (_what, disturb, undo, said) => {
  await lab().host(['sh', '-c', disturb])
  const result = await verify()
  await lab().host(['sh', '-c', undo])
  expect(result.code, result.stdout).toBe(7)
  expect(result.stdout).toMatch(said)
  expect((await verify()).code).toBe(0)
})

describe('with many networks', () => {
  beforeAll(async () => {
    for (let count = 0; count < 30; count += 1)
      await lab().docker.createNetwork({
        Name: `many${count}`,
        Driver: 'bridge',
        IPAM: { Config: [{ Subnet: `10.99.${count}.0/24` }] },
      })
  })

  test('those beyond a number are named, and it takes seconds', async () => {
    const startedMs = performance.now()
    const result = await verify()
    const took = performance.now() - startedMs
    console.log(`verify on 32 of 34 networks: ${Math.round(took)} ms`)
    expect(result.code, result.stdout).toBe(0)
    expect(linesOf(result, 'skip').filter((line) => line.includes('at a time'))).toHaveLength(2)
    expect(took).toBeLessThan(20_000)
    const { stdout } = await lab().host(['ip', 'link', 'show', 'type', 'veth'])
    expect(stdout).not.toContain('embargod-verify')
  })
})
