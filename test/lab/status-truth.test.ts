import { beforeAll, describe, expect, test } from 'vitest'
import type { Daemon } from './embargod.ts'
import { useLab } from './shared-lab.ts'

/** The first line of `status` is the worst that is true of the host, whoever is there to say it; what nobody can know is no number. */
const lab = useLab({ name: 'status-truth' })

const own = (): string => lab().embargod.configFile
async function status() {
  const { code, stdout } = await lab().cli(['status', '--config', own()])
  return { code, first: stdout.split('\n')[0], text: stdout }
}
const json = async () => JSON.parse((await lab().cli(['status', '--json', '--config', own()])).stdout)
const networks = async (): Promise<{ name: string; guarded: boolean; deniedPackets: unknown }[]> =>
  (await json()).networks
const guarded = async (name: string) => (await networks()).find((one) => one.name === name)?.guarded
const config = 'allow: [203.0.113.10]\n'

const withoutJump = async (work: () => Promise<void>): Promise<void> => {
  const tools = ['iptables', 'ip6tables']
  for (const tool of tools)
    await lab().host(['sh', '-c', `${tool}-save >/run/truth.${tool}; ${tool} -F FORWARD`])
  await work()
  for (const tool of tools) await lab().host(['sh', '-c', `${tool}-restore </run/truth.${tool}`])
}

beforeAll(async () => {
  await lab().network('shop')
})

test('a host that was never guarded', async () => {
  await lab().embargod.writeConfig(config)
  const { code, first, text } = await status()
  expect({ code, first }).toMatchObject({
    code: 5,
    first: expect.stringMatching(/^NOTHING IS ENFORCED: containers reach anything; start it with/),
  })
  expect(await guarded('shop')).toBe(false)
  expect(text).toContain('not running')
})

test('one that no config was ever accepted for is closed', async () => {
  const daemon = await lab().daemon({ config: 'nonsense: 1\n', wait: false })
  expect(await daemon.ended).toBe(2)
  const { code, first } = await status()
  expect({ code, first }).toMatchObject({
    code: 5,
    first: expect.stringMatching(/^CLOSED: .*`embargod check`/),
  })
  expect(await json()).toMatchObject({ config: { lastReloadSuccessful: false }, health: 'degraded' })
  expect(await guarded('shop')).toBe(true)
})

describe('after a daemon', () => {
  let daemon: Daemon
  beforeAll(async () => {
    daemon = await lab().daemon({ config })
  })

  test('that runs', async () => {
    const { code, first } = await status()
    expect({ code, first }).toMatchObject({ code: 0, first: expect.stringContaining(': healthy') })
    expect(await json()).toMatchObject({ headline: 'healthy' })
  })

  test('that hangs', async () => {
    daemon.signal('SIGSTOP')
    const { code, first } = await status()
    expect({ code, first }).toMatchObject({
      code: 5,
      first: expect.stringMatching(/^NOT ANSWERING: .*restart/),
    })
    daemon.signal('SIGCONT')
  })

  test('that is gone: the rules stand, and what only it knew is unknown', async () => {
    await daemon.term()
    const { code, first, text } = await status()
    expect({ code, first }).toMatchObject({
      code: 5,
      first: expect.stringMatching(/^NOT RUNNING: the rules/),
    })
    expect(text).toMatch(/verified: +unknown/)
    expect(text).toMatch(/last pass: +unknown/)
    const report = await json()
    expect(report).toMatchObject({ lastReconcile: null, lastVerified: null, drift: { repairs: {} } })
    expect(report.policies).toMatchObject([{ policy: 'common', addresses: { ipv4: 1, ipv6: 0 } }])
    expect((await networks()).every(({ deniedPackets }) => deniedPackets === null)).toBe(true)
    expect(await guarded('shop')).toBe(true)
  })

  test('whose file is refused meanwhile: what was accepted last is told', async () => {
    await lab().embargod.writeConfig('nonsense: 1\n')
    const { first, text } = await status()
    expect(first).toMatch(/^NOT RUNNING: .*accepted last.*`embargod check`/)
    expect(text).toContain('is refused')
    await lab().embargod.writeConfig(config)
  })

  test('whose rules somebody took out of the path', () =>
    withoutJump(async () => {
      expect((await status()).first).toMatch(/^CLOSED: containers get nothing new out/)
    }))

  test('whose rules and backstop somebody took', () =>
    withoutJump(async () => {
      await lab().host(['nft', 'delete', 'table', 'inet', 'embargod-guard'])
      expect((await status()).first).toMatch(/^NOTHING IS ENFORCED/)
      expect(await guarded('shop')).toBe(false)
    }))

  test('whose IPv6 rules alone are out of the path, without a backstop', async () => {
    await lab().host(['sh', '-c', 'ip6tables-save >/run/truth.6; ip6tables -F FORWARD'])
    expect((await status()).first).toMatch(/^IPv6 IS NOT ENFORCED/)
    await lab().host(['sh', '-c', 'ip6tables-restore </run/truth.6'])
    expect((await status()).first).toMatch(/^NOT RUNNING: .*the backstop is missing/)
  })

  test('whose host was cleaned up', async () => {
    expect((await lab().cli(['cleanup', '--yes', '--config', own()], { timeoutMs: 60_000 })).code).toBe(0)
    const { code, first } = await status()
    expect({ code, first }).toMatchObject({ code: 5, first: expect.stringMatching(/^NOTHING IS ENFORCED/) })
    expect(await guarded('shop')).toBe(false)
    expect(await json()).toMatchObject({ counters: [], policies: [{ addresses: { ipv4: 0, ipv6: 0 } }] })
  })
})
