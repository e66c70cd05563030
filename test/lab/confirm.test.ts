import { rm } from 'node:fs/promises'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { origin, reached } from './reach.ts'
import { guard } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'

/** A change that nobody says yes to is taken back, so that nobody locks himself out. */
const lab = useLab({ name: 'confirm' })

const FIRST = 'allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]'
const SECOND = 'allow: [{ cidr: 203.0.113.13, ports: [80/tcp] }]'
const BOTH = [origin('203.0.113.12'), origin('203.0.113.13')]

let from: LabContainer
beforeAll(async () => {
  from = await lab().container({ network: 'bridge' })
})
beforeEach(async () => {
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  await rm(lab().embargod.stateDirectory, { recursive: true, force: true })
})

const open = (): Promise<readonly string[]> => reached(from, BOTH, { seconds: 2 })

async function reload(yaml: string, ...args: string[]): Promise<string> {
  await lab().embargod.writeConfig(yaml)
  const { code, stdout, stderr } = await lab().cli(['reload', ...args])
  expect(code, stderr).toBe(0)
  return stdout
}

const status = async () => (await lab().cli(['status'])).stdout

describe('a reload', () => {
  test('that nobody confirms is taken back, and neither a restart nor a crash brings it in', async () => {
    const daemon = await guard(lab(), { config: FIRST })
    expect(await reload(SECOND, '--confirm', '8s')).toMatch(/^reloaded; on trial until .*embargod confirm/)
    expect(await open()).toEqual([origin('203.0.113.13')])
    expect(await status()).toMatch(/config:.*on trial for \d+ ?s/)
    await lab().waitFor('the first one is back', async () => (await open()).join() === BOTH[0], 20_000)
    const after = await lab().cli(['status'])
    expect(after).toMatchObject({ code: 4 })
    expect(after.stdout).toMatch(/nobody confirmed it.*embargod reload/)
    expect((await scrape(lab())).value('config_last_reload_successful')).toBe(0)
    expect(daemon.logs).toContain('not confirmed in time')
    expect(await lab().cli(['confirm'])).toMatchObject({ code: 1, stdout: '' })

    await daemon.kill()
    const next = await guard(lab(), { config: SECOND, wait: false })
    await lab().waitFor('it says so again', async () => /nobody confirmed it/.test(await status()))
    expect(await open()).toEqual([BOTH[0]])
    await reload(SECOND)
    await lab().waitFor('it is healthy', async () => (await lab().cli(['status'])).code === 0)
    expect(await open()).toEqual([BOTH[1]])
    await next.term()
  })

  test('that is confirmed stays, over its time and a restart', async () => {
    const daemon = await guard(lab(), { config: FIRST })
    await reload(SECOND, '--confirm', '5s')
    expect(await lab().cli(['confirm'])).toMatchObject({ code: 0, stdout: 'confirmed\n' })
    expect(await status()).not.toContain('on trial')
    await lab().host(['sleep', '6'])
    expect(await open()).toEqual([BOTH[1]])
    expect(await lab().cli(['status'])).toMatchObject({ code: 0 })
    await daemon.term()
    await guard(lab(), { config: SECOND })
    expect(await open()).toEqual([BOTH[1]])
  })

  test('without a trial takes the file for good', async () => {
    await guard(lab(), { config: FIRST })
    await reload(SECOND, '--confirm', '5s')
    expect(await reload(SECOND)).toBe('reloaded; nothing changed\n')
    expect(await status()).not.toContain('on trial')
    await lab().host(['sleep', '6'])
    expect(await open()).toEqual([BOTH[1]])
  })

  test('by a signal ends no trial, and takes nothing that nobody confirmed', async () => {
    const daemon = await guard(lab(), { config: FIRST })
    await reload(SECOND, '--confirm', '8s')
    await daemon.hup()
    await lab().waitFor('it was heard', async () => daemon.logs.split('"reloaded"').length === 3)
    expect(await status()).toContain('on trial')
    await lab().waitFor('the first one is back', async () => (await open()).join() === BOTH[0], 20_000)
    await daemon.hup()
    await lab().host(['sleep', '2'])
    expect(await open()).toEqual([BOTH[0]])
    expect(await status()).toMatch(/nobody confirmed it/)
  })
})

describe('a start', () => {
  test('with nothing before it ends unguarded, as the host was', async () => {
    const daemon = await guard(lab(), { config: FIRST, args: ['--confirm', '6s'] })
    expect(await open()).toEqual([BOTH[0]])
    expect(await daemon.ended).toBe(1)
    expect(daemon.logs).toContain('nobody confirmed the first config')
    expect(await open()).toEqual(BOTH)
    const rules = await lab().host([
      'sh',
      '-c',
      'iptables-save; ip6tables-save; nft list tables; ipset list -n',
    ])
    expect(rules.stdout.toLowerCase()).not.toContain('embargod')
  })

  test('with rules of an earlier life and no config of it is refused, and changes nothing', async () => {
    const daemon = await guard(lab(), { config: FIRST })
    await daemon.term()
    await rm(lab().embargod.stateDirectory, { recursive: true, force: true })
    const trial = await guard(lab(), { config: SECOND, args: ['--confirm', '5s'], wait: false })
    expect(await trial.ended).toBe(1)
    expect(trial.logs).toContain('there is nothing to go back to')
    expect(await open()).toEqual([BOTH[0]])
  })

  test('with one accepted earlier comes back to that', async () => {
    const daemon = await guard(lab(), { config: FIRST })
    await daemon.term()
    await guard(lab(), { config: SECOND, args: ['--confirm', '6s'] })
    expect(await open()).toEqual([BOTH[1]])
    await lab().waitFor('the first one is back', async () => (await open()).join() === BOTH[0], 20_000)
    expect(await status()).toContain('nobody confirmed it')
  })

  test('killed in its trial comes up with the one before', async () => {
    const daemon = await guard(lab(), { config: FIRST })
    await daemon.term()
    const trial = await guard(lab(), { config: SECOND, args: ['--confirm', '1h'] })
    await trial.kill()
    await guard(lab(), { config: SECOND, wait: false })
    await lab().waitFor('the first one is back', async () => (await open()).join() === BOTH[0], 20_000)
  })
})

test.each([['reload'], ['run']])('%s refuses a time that is none', async (command) => {
  for (const time of ['soon', '1s', '2h'])
    expect(await lab().cli([command, '--confirm', time])).toMatchObject({ code: 64, stdout: '' })
})
