import { expect, test } from 'vitest'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'

/** A host that does not do its work is not called healthy: not by `status`, nor by its exit code, nor by `/readyz`. */
const lab = useLab({ name: 'health' })

const status = () => lab().cli(['status'])
/** Why the host is not ready; empty when it is. */
async function notReady(): Promise<string> {
  const { stdout } = await lab().host(['curl', '-sS', '--max-time', '10', 'http://127.0.0.1:9464/readyz'])
  const { ready, reasons }: { ready: boolean; reasons: string[] } = JSON.parse(stdout)
  expect(ready).toBe(reasons.length === 0)
  return reasons.join('; ')
}

/** Resolves to what `status` says, when all three say that it is degraded for this reason. */
async function degraded(reason: RegExp): Promise<string> {
  await lab().waitFor(`degraded: ${reason}`, async () => reason.test(await notReady()), 40_000)
  const { code, stdout } = await status()
  expect({ code, stdout }).toMatchObject({ code: 4, stdout: expect.stringMatching(reason) })
  return stdout
}
const healthy = () => lab().waitFor('healthy', async () => (await notReady()) === '', 40_000)

test('a gateway whose only upstream is dead, until it answers', async () => {
  await lab().network('shop')
  const config = (upstream: string) => `
dns: { gateway: true, upstreams: [${upstream}] }
resolver: { servers: [${INET.dns}], timeout: 1s }
allow: ['*.one.example']
`
  await lab().inet.dns({ 'a.one.example': { a: ['203.0.113.31'], ttl: 5 } })
  // Nobody answers at that address.
  const daemon = await guard(lab(), { config: config('198.51.100.77') })
  const shop = await inside(lab(), { network: 'shop' })
  const dig = (name: string) => shop.exec(['dig', '+tries=1', '+time=3', '+short', name])
  await Promise.all(Array.from({ length: 8 }, (_, i) => dig(`x${i}.one.example`)))
  await degraded(/the DNS gateway gets no answer from 198\.51\.100\.77:53.*dns\.upstreams/)
  expect((await scrape(lab())).value('dns_upstream_up')).toBe(0)
  await daemon.hup(config(INET.dns))
  await healthy()
  expect((await dig('a.one.example')).stdout.trim()).toBe('203.0.113.31')
})

test('a resolver that refuses every name, until it answers', async () => {
  await lab().inet.dns({ 'one.example': { rcode: 'REFUSED' }, 'two.example': { rcode: 'REFUSED' } })
  await guard(lab(), { config: 'allow: [one.example, two.example]\n', wait: false })
  await lab().waitFor('it runs', async () => (await status()).code !== 5, 30_000)
  await degraded(/none of the 2 names resolves: .*REFUSED.*resolver\.servers/)
  await lab().inet.dns({ 'two.example': { a: ['203.0.113.32'] } })
  await healthy()
})

test('an allow list that is open to everything is listed', async () => {
  const config = "allow:\n  - { cidr: 0.0.0.0/0, ports: [any] }\n  - { cidr: '::/0', ports: [443/tcp] }\n"
  const daemon = await guard(lab(), { config })
  const unprotected = async () => (await scrape(lab())).value('unprotected', { reason: 'open-policy' })
  expect(await unprotected()).toBe(1)
  const { code, stdout } = await status()
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /open-policy\s+common\s+.*0\.0\.0\.0\/0 \(.*embargod\.yaml:2:13\), ::\/0 \(.*:3:13\)/,
  )
  await daemon.hup('allow: [{ to: internet, ports: [any] }]\n')
  await lab().waitFor('it is listed no longer', async () => (await unprotected()) === 0, 20_000)
})

test('verify that could try nothing says so, and does not call it proven', async () => {
  await lab().network('inner', { internal: true })
  await guard(lab(), { config: 'guard: { networks: [inner] }\n' })
  const result = await lab().cli(['verify', '--config', lab().embargod.configFile], { timeoutMs: 60_000 })
  expect(result).toMatchObject({
    code: 7,
    stdout: expect.stringContaining('skip network inner (it is internal'),
  })
  expect(result.stdout).toMatch(/skip the proof \(there is no guarded network with a way out/)
  expect(result.stdout).toMatch(/^NOT PROVEN: skipped/m)
  expect(result.stdout).not.toContain('FAIL')
  // It says nothing about the host, so the daemon does not learn that it is bad.
  expect(await notReady()).toBe('')
})
