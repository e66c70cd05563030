import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { hostConfigEnv } from '../../../src/config/env.ts'
import {
  ConfigHolder,
  NoConfigError,
  NoTrialError,
  NoWayBackError,
} from '../../../src/daemon/config-holder.ts'
import { Health } from '../../../src/daemon/health.ts'
import { savedGeneration } from '../../../src/state/formats.ts'
import { createLogger } from '../../../src/observe/logger.ts'
import { scratchDirectory } from '../../support/scratch.ts'

/** Which config a process enforces, over trials, silence, restarts and bad files. */
let directory: string
/** Anybody may write in the directory for temporary files. */
const env = { ...hostConfigEnv, pathFaults: async () => [] }
beforeEach(async () => {
  directory = await scratchDirectory()
})

const write = (what: string): Promise<void> =>
  writeFile(
    join(directory, 'a.yaml'),
    what === 'bad' ? 'nonsense: 1\n' : `denyWith: ${what}\nstate: ${directory}\n`,
    { mode: 0o600 },
  )

function life() {
  const health = new Health(() => undefined)
  const log = createLogger({ level: 'fatal', pretty: false, color: false })
  return { health, holder: new ConfigHolder(join(directory, 'a.yaml'), health, log, directory, env) }
}

/** The config with which a process starts, and what it complains of. */
async function start(onTrial = false, guarded = false) {
  const { holder, health } = life()
  const { config, store } = await holder.first(onTrial ? { isGuarded: async () => guarded } : undefined)
  return { holder, health, store, enforced: config.denyWith }
}

describe('a config on trial', () => {
  test('that is confirmed is the one to come back to', async () => {
    await write('drop')
    const { holder, store } = await start()
    await write('reject')
    await holder.again(store, 'trial')
    expect(await holder.confirm(store)).toBe(true)
    expect(await holder.confirm(store)).toBe(false)
    expect(holder.sources).toHaveLength(1)
    await write('bad')
    expect(await start()).toMatchObject({ enforced: 'reject' })
  })

  test('that nobody confirms gives way to the one before, and a second one to that too', async () => {
    await write('drop')
    const { holder, store, health } = await start()
    await write('reject')
    await holder.again(store, 'trial')
    // A restart must not find it as if it were good.
    expect(holder.sources).toEqual([])
    await holder.again(store, 'trial')
    expect(holder.takeBack()).toMatchObject({ denyWith: 'drop' })
    expect(holder.lastLoadSuccessful).toBe(false)
    expect(health.problems.join()).toContain('nobody confirmed it')
  })

  test('is not in force after a restart, in or after its time, until it is reloaded or has changed', async () => {
    await write('drop')
    const { holder, store } = await start()
    await write('reject')
    await holder.again(store, 'trial')
    const second = await start()
    expect(second).toMatchObject({ enforced: 'drop' })
    expect(second.health.problems.join()).toContain('embargod reload')
    expect((await second.holder.again(second.store, 'good')).config).toMatchObject({ denyWith: 'reject' })
    expect(second.health.problems).toEqual([])
    expect(await start()).toMatchObject({ enforced: 'reject' })
  })

  test('that changed on the disk is another one', async () => {
    await write('reject')
    const { holder, store } = await start()
    await write('drop')
    await holder.again(store, 'trial')
    await writeFile(join(directory, 'a.yaml'), `denyWith: drop\nstate: ${directory}\nallow: []\n`, {
      mode: 0o600,
    })
    expect(await start()).toMatchObject({ enforced: 'drop' })
  })

  test('at the first start ever has nothing behind it', async () => {
    await write('reject')
    const { holder } = await start(true)
    expect(holder.takeBack()).toBeUndefined()
    // Without one to come back to the file is taken: whoever starts it without a trial means it.
    expect(await start()).toMatchObject({ enforced: 'reject' })
  })

  test('at a later start has the one that was accepted last', async () => {
    await write('drop')
    await start()
    await write('reject')
    const { holder, enforced } = await start(true)
    expect(enforced).toBe('reject')
    expect(holder.takeBack()).toMatchObject({ denyWith: 'drop' })
  })

  test('is refused where a host is guarded and nothing is known to come back to', async () => {
    await write('reject')
    await expect(start(true, true)).rejects.toThrow(NoWayBackError)
    // Nothing was put on trial by that.
    expect(await start()).toMatchObject({ enforced: 'reject' })
    await write('drop')
    expect(await start(true, true)).toMatchObject({ enforced: 'drop' })
  })

  test('goes on over a signal, and is taken by none when it was not confirmed', async () => {
    await write('drop')
    const { holder, store } = await start()
    await write('reject')
    await holder.again(store, 'trial')
    expect((await holder.again(store, 'signal')).config).toMatchObject({ denyWith: 'reject' })
    expect(holder.takeBack()).toMatchObject({ denyWith: 'drop' })
    expect((await holder.again(store, 'signal')).config).toBeUndefined()
    expect(holder.lastLoadSuccessful).toBe(false)
    expect(await start()).toMatchObject({ enforced: 'drop' })
    expect((await holder.again(store, 'good')).config).toMatchObject({ denyWith: 'reject' })
    expect((await holder.again(store, 'signal')).config).toMatchObject({ denyWith: 'reject' })
  })

  test('survives a bad file', async () => {
    await write('drop')
    const { holder, store } = await start()
    await write('reject')
    await holder.again(store, 'trial')
    await write('bad')
    expect((await holder.again(store, 'good')).config).toBeUndefined()
    expect(await holder.confirm(store)).toBe(true)
    expect(await start()).toMatchObject({ enforced: 'reject' })
  })
})

test('a bad file with nothing accepted before is an end', async () => {
  await write('bad')
  await expect(start()).rejects.toThrow(NoConfigError)
})

test('a file that says of this host what is not so is refused by a reload, and taken by a start', async () => {
  await write('drop')
  const health = new Health(() => undefined)
  const log = createLogger({ level: 'fatal', pretty: false, color: false })
  const problem = {
    severity: 'error' as const,
    file: 'a.yaml',
    line: 1,
    column: 2,
    message: 'no network shoop',
  }
  const file = join(directory, 'a.yaml')
  const holder = new ConfigHolder(file, health, log, directory, env)
  const { store } = await holder.first()
  await write('reject')
  for (const wish of ['good', 'signal', 'trial'] as const) {
    const { config, problems } = await holder.again(store, wish, () => [problem])
    expect({ config, problems }).toEqual({ config: undefined, problems: [problem] })
  }
  expect(health.problems.join()).toContain('refused')
  expect(holder.before).toBeUndefined()
  expect((await holder.again(store, 'good')).config).toMatchObject({ denyWith: 'reject' })
  expect(health.problems).toEqual([])
})

describe('a disk that takes nothing', () => {
  /** The new file cannot be made beside the old one, which can be taken away as on any full disk. */
  const blocked = (name: string): string => join(directory, `.${name}.json.tmp`, 'x')
  const block = (name: string) => mkdir(blocked(name), { recursive: true })
  const unblock = (name: string) => rm(join(directory, `.${name}.json.tmp`), { recursive: true })

  test('never brings back a config from before the one in force, and is told', async () => {
    await write('drop')
    const { holder, store, health } = await start()
    await block('accepted-config')
    await write('reject')
    expect((await holder.again(store, 'good')).config).toMatchObject({ denyWith: 'reject' })
    expect(holder.unsaved(store)).toContain('accepted-config')
    expect(health.problems.join()).toContain('state cannot be saved')
    // That another file can be written is no reason to forget it.
    await store.save('generation', { generation: 1, digest: '' }, savedGeneration)
    expect(health.problems).toHaveLength(1)
    await write('bad')
    await expect(start()).rejects.toThrow(NoConfigError)
    await unblock('accepted-config')
    await store.flush()
    expect(health.problems).toEqual([])
    expect(await start()).toMatchObject({ enforced: 'reject' })
  })

  test('takes no trial, which a restart would have to know of', async () => {
    await write('drop')
    const { holder, store } = await start()
    await block('unconfirmed-config')
    await write('reject')
    await expect(holder.again(store, 'trial')).rejects.toThrow(NoTrialError)
    expect(holder.before).toBeUndefined()
    await unblock('unconfirmed-config')
    await store.flush()
    expect(await start()).toMatchObject({ enforced: 'reject' })
  })
})

test('a bad file says of when the config is that is enforced instead', async () => {
  await write('drop')
  await start()
  await write('bad')
  const { health } = await start()
  expect(health.problems.join()).toMatch(/the last accepted config, of \d{4}-\d\d-\d\dT[\d:.]+Z, is enforced/)
})
