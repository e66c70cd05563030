import { afterEach, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** Nothing goes wrong in silence: who changes something, or looks for a reason, is told. */
const lab = useLab({ name: 'silence' })

const DEAD = '203.0.113.99'
/** Allowed by the older config alone. */
const WIDE = '203.0.113.10'
const REFUSING = `table inet refusing {
  chain in {
    type filter hook input priority -300
    ip daddr ${DEAD} udp dport 53 reject
  }
}
`
const quick = 'resolver: { refresh: { min: 1s, max: 2s }, retain: 1s }'
const config = (allow: string, more = quick): string => `${more}\nallow: [${allow}]`

const reload = async (yaml: string, ...args: string[]) => {
  await lab().embargod.writeConfig(yaml)
  return lab().cli(['reload', ...args])
}
const status = async () => lab().cli(['status'])
const reaches = async (from: LabContainer, address: string): Promise<boolean> =>
  (await fetchPage(from, `http://${address}/`, { timeoutMs: 1500, family: 4 })).code === 0

describe('a reload', () => {
  test('says what it changed and what does not work afterwards', async () => {
    await lab().internet(['nft', '-f', '-'], { input: REFUSING })
    const daemon = await guard(lab(), { config: config('allowed.example') })
    const good = await reload(config('api.example, "db.example:5432"'))
    expect(good).toMatchObject({ code: 0, stderr: '' })
    expect(good.stdout.split('\n')).toEqual([
      'reloaded',
      'allowed anew: api.example 80/tcp,443/tcp, db.example 5432/tcp',
      'no longer: allowed.example 80/tcp,443/tcp',
      '',
    ])
    expect(await reload(`denyWith: reject\n${config('api.example, "db.example:5432"')}`)).toMatchObject({
      stdout: 'reloaded\ndenyWith: drop -> reject\n',
    })

    const dead = `resolver: { servers: [${DEAD}], timeout: 1s }`
    const startedMs = Date.now()
    const bad = await reload(config('nowhere.example, new.example', dead))
    expect(Date.now() - startedMs).toBeLessThan(10_000)
    expect(bad.code).toBe(0)
    expect(bad.stderr).toMatch(
      /2 of 2 names have no address \(nowhere\.example, new\.example: .*203\.0\.113\.99/,
    )
    expect(daemon.logs).toMatch(/2 of 2 names have no address/)

    // Names that have addresses of before live on those.
    expect((await reload(config('allowed.example'))).stderr).toBe('')
    expect((await reload(config('allowed.example', dead))).stderr).toMatch(
      /1 of 1 names lives on old answers .*203\.0\.113\.99/,
    )
    await lab().internet(['nft', 'delete', 'table', 'inet', 'refusing'])
  })

  test('allow says the same of what it adds', async () => {
    await guard(lab(), { config: `${config('allowed.example')}\nnever: [203.0.113.66]` })
    const good = await lab().cli(['allow', 'api.example:443', '--for', '1h'])
    expect(good).toMatchObject({ code: 0, stderr: '' })
    expect(good.stdout).toContain('allowed anew: api.example:443\n')
    const none = await lab().cli(['allow', 'nowhere.example', '--for', '1h'])
    expect(none.stderr).toMatch(/1 of 1 names has no address \(nowhere\.example: .*NXDOMAIN/)
    const never = await lab().cli(['allow', '203.0.113.66:80', '--for', '1h'])
    expect(never.stderr).toContain('lies in never')
    for (const entry of ['api.example:443', 'nowhere.example', '203.0.113.66:80'])
      expect((await lab().cli(['allow', '--revoke', entry])).stdout).toContain(`no longer: ${entry}\n`)
  })
})

describe('a full disk', () => {
  const DISK = '/run/full'
  const state = `state: ${DISK}/state`
  const fill = (file = 'filler') =>
    lab().host(['dd', 'if=/dev/zero', `of=${DISK}/${file}`, 'bs=1k'], { okExitCodes: [1] })
  const onDisk = (name: string) => lab().host(['cat', `${DISK}/state/${name}.json`], { okExitCodes: [1] })

  afterEach(async () => {
    await lab().host(['umount', '-l', DISK], { okExitCodes: [32] })
    await lab().cli(['cleanup', '--yes'])
  })

  test('is told by reload and allow, and brings no older config back', async () => {
    const from = await inside(lab())
    await lab().host(['mkdir', '-p', DISK])
    await lab().host(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', DISK])
    const daemon = await guard(lab(), { config: config(`"${WIDE}:80", "203.0.113.11:80"`, state) })
    await lab().cli(['allow', '203.0.113.21:80', '--for', '1h'])
    await fill()
    // Longer than what stands on the disk, so that the room of that is not enough.
    const long = `# ${'x'.repeat(60_000)}\n${config('"203.0.113.11:80"', state)}`
    const narrower = await reload(long)
    expect(narrower.code).toBe(0)
    expect(narrower.stderr).toMatch(/a restart would not find it: .*accepted-config.*the disk is full/)
    const allowed = await lab().cli(['allow', `203.0.113.20:80`, '--for', '1h'])
    expect(allowed.stderr + allowed.stdout).toContain('allowed anew')
    expect(await status()).toMatchObject({ code: 4, stdout: expect.stringContaining('the disk is full') })
    expect(daemon.logs).toMatch(/the disk is full/)
    expect(await reaches(from, WIDE)).toBe(false)
    expect(await reaches(from, '203.0.113.11')).toBe(true)

    const revoked = await lab().cli(['allow', '--revoke', '203.0.113.21:80'])
    expect(revoked.code).toBe(0)
    expect((await onDisk('temporary')).stdout).not.toContain('203.0.113.21')
    // What was taken away has made room.
    await fill('more')
    const trial = await reload(config(`"${WIDE}:80"`, state), '--confirm', '10s')
    expect(trial).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('one on trial has to be remembered'),
    })
    expect(await reaches(from, WIDE)).toBe(false)

    await lab().embargod.writeConfig(`nonsense: 1\n${state}`)
    expect(await lab().cli(['reload'])).toMatchObject({ code: 2 })
    await daemon.kill()
    const again = await guard(lab(), { config: `nonsense: 1\n${state}`, wait: false })
    // What the kernel holds stays: nobody knows the config that is in force, and an older one is none.
    expect(await again.ended).toBe(2)
    expect(await reaches(from, WIDE)).toBe(false)
    expect(await reaches(from, '203.0.113.11')).toBe(true)
  })

  test('with room again the config in force is saved, and comes back', async () => {
    const from = await inside(lab())
    await lab().host(['mkdir', '-p', DISK])
    await lab().host(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', DISK])
    const daemon = await guard(lab(), { config: config(`"${WIDE}:80"`, state) })
    await fill()
    const long = `# ${'x'.repeat(60_000)}\n${config('"203.0.113.11:80"', state)}`
    expect((await reload(long)).stderr).toContain('the disk is full')
    await lab().host(['rm', `${DISK}/filler`])
    await daemon.term()
    const again = await guard(lab(), { config: `nonsense: 1\n${state}`, wait: false })
    await lab().waitFor('the config in force is back', async () => (await status()).code === 4)
    expect((await status()).stdout).toMatch(/the last accepted config, of \d{4}-.*, is enforced/)
    expect(await reaches(from, WIDE)).toBe(false)
    expect(await reaches(from, '203.0.113.11')).toBe(true)
    await again.term()
  })
})

test('an address that an allowed name had until lately is explained by that', async () => {
  await lab().inet.dns({ 'moving.example': { a: ['203.0.113.40'], ttl: 1 } })
  const from = await inside(lab())
  const daemon = await guard(lab(), { config: config('moving.example') })
  await lab().waitFor('the name is open', () => reaches(from, '203.0.113.40'))
  const other = await lab().cli(['explain', 'bridge', '203.0.113.40:25'])
  expect(other.stdout).toContain('it is an address of moving.example, which is allowed with other ports')
  await lab().inet.dns({ 'moving.example': { a: ['203.0.113.41'], ttl: 1 } })
  const explain = (...args: string[]) =>
    lab().cli(['explain', 'bridge', '203.0.113.40:80', '--config', lab().embargod.configFile, ...args])
  await lab().waitFor('the old address ages out', async () => (await explain()).code === 6, 20_000)
  const said =
    /it belonged to moving\.example until \d{4}-\S+Z, and was kept until \d{4}-\S+Z; the name now has 203\.0\.113\.41/
  expect((await explain()).stdout).toMatch(said)
  expect(JSON.parse((await explain('--json')).stdout)).toMatchObject({
    belongings: [{ name: 'moving.example', now: ['203.0.113.41'] }],
  })
  await daemon.term()
  expect((await explain()).stdout).toMatch(said)
})

test('repairs are counted over a crash', async () => {
  const daemon = await guard(lab(), { config: config('allowed.example') })
  const repairs = async (): Promise<number> => (await scrape(lab())).value('drift_repairs_total') ?? 0
  const before = await repairs()
  await lab().host(['iptables', '-F', 'EMBARGOD-JUDGE'])
  await lab().waitFor('the flushed chain is repaired', async () => (await repairs()) > before)
  const counted = await repairs()
  await daemon.kill()
  await guard(lab(), { config: config('allowed.example') })
  expect(await repairs()).toBeGreaterThanOrEqual(counted)
  const { drift }: { drift: { repairs: Record<string, number>; lastRepairMs: number } } = JSON.parse(
    (await lab().cli(['status', '--json'])).stdout,
  )
  expect(Object.values(drift.repairs).reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(counted)
  expect(Date.now() - drift.lastRepairMs).toBeLessThan(60_000)
})

test('a config of the engine that cannot be trusted takes no name server away, and is told', async () => {
  const file = '/etc/docker/daemon.json'
  await lab().writeHostFile(file, '{"dns":["198.51.100.77"]}')
  const daemon = await guard(lab(), { config: config('allowed.example') })
  const row = /198\.51\.100\.77 +daemon\.json/
  expect((await status()).stdout).toMatch(row)
  await lab().host(['chmod', '666', file])
  expect((await lab().cli(['reload'])).stderr).toMatch(/daemon\.json/)
  const degraded = await status()
  expect(degraded.code).toBe(4)
  expect(degraded.stdout).toMatch(/containers may be kept from their resolvers: .*daemon\.json/)
  expect(degraded.stdout).toMatch(row)
  expect(daemon.logs).toMatch(/degraded.*daemon\.json|daemon\.json.*degraded/)
  await lab().host(['rm', file])
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0, stderr: '' })
  expect((await status()).stdout).not.toMatch(row)
})
