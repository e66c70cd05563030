import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { StatusReport } from '../../src/control/status.ts'
import type { Service } from './box.ts'
import type { LabContainer } from './container.ts'
import { type Daemon, programArgv } from './embargod.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { growth } from './witness.ts'

/** What a local user without rights, or a container without capabilities, can do to the daemon by files, processes and sockets of their own. */
const lab = useLab({ name: 'local-user' })

const USER = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'] as const
const HOME = '/run/somebody'
const EVIL = '203.0.113.53'
const CONFIG = 'allow: [allowed.example]\nverify: { every: never }'

let shop: LabContainer
const started: Service[] = []

beforeAll(async () => {
  shop = await lab().container({ name: 'shop' })
  await lab().host(['install', '-d', '-o', '65534', '-g', '65534', HOME])
  // The name under which a process is known is that of the file that was run.
  await lab().host([...USER, 'ln', '-s', '/usr/bin/perl', `${HOME}/dockerd`])
})
afterEach(async () => {
  for (const service of started.splice(0)) await service.stop('SIGKILL')
})

const asUser = (...argv: string[]): void => void started.push(lab().service('host', [...USER, ...argv]))
/** A program called dockerd, with words of his choice. */
const pretend = (...flags: string[]): void =>
  asUser(`${HOME}/dockerd`, '-e', 'sleep 600', '--', '-H', `unix://${lab().engine.socket}`, ...flags)

const status = async (): Promise<StatusReport> =>
  JSON.parse((await lab().cli(['status', '--json'])).stdout) as StatusReport

async function expectPasses(): Promise<void> {
  const before = (await status()).lastReconcile?.atMs ?? 0
  await lab().waitFor(
    'passes go on',
    async () => ((await status()).lastReconcile?.atMs ?? 0) > before,
    15_000,
  )
}

const asked = async (): Promise<number> => {
  await lab().farEnd.reset()
  await shop.exec(['dig', '+short', '+time=1', '+tries=1', `@${EVIL}`, 'allowed.example'])
  return lab().farEnd.count(EVIL)
}

describe.each([
  ['with its native part', true],
  ['without', false],
])('the daemon %s', (_how, native) => {
  let daemon: Daemon
  const before = process.env['EMBARGOD_LAB_PROGRAM']

  beforeAll(async () => {
    if (!native) {
      const bundle = join(lab().directory, 'embargod.cjs')
      await copyFile(programArgv().at(-1) ?? '', bundle)
      process.env['EMBARGOD_LAB_PROGRAM'] = bundle
    }
  })
  afterAll(() => {
    if (before === undefined) delete process.env['EMBARGOD_LAB_PROGRAM']
    else process.env['EMBARGOD_LAB_PROGRAM'] = before
  })

  test('starts, whatever names somebody took in the abstract socket space', async () => {
    asUser(
      'perl',
      '-MIO::Socket::UNIX',
      '-e',
      // Some versions of Node fill such a name up with zeros.
      `my @names = map { ("\\0$_", pack 'a108', "\\0$_") } 'embargod', 'embargod-verify';
       my @held = map { IO::Socket::UNIX->new(Local => $_, Listen => 1) or die } @names;
       sleep 600`,
    )
    await lab().waitFor('they are taken', async () =>
      (await lab().host(['cat', '/proc/net/unix'])).stdout.includes('@embargod-verify'),
    )
    daemon = await lab().daemon({ config: CONFIG })
    const second = await lab().cli(['run', '--config', lab().embargod.configFile])
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('another embargod runs') })
    expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the daemon is running'),
    })
    expect(await lab().cli(['verify', '--config', lab().embargod.configFile])).toMatchObject({ code: 0 })
  })

  test('takes no name server from a process that only calls itself dockerd', async () => {
    expect(await asked()).toBe(0)
    pretend('--dns', EVIL)
    await daemon.hup()
    await expectPasses()
    expect(await asked()).toBe(0)
    const { health, resolvers } = await status()
    expect(health).toBe('healthy')
    expect(resolvers).toEqual([{ server: INET.dns, origin: 'host' }])
  })

  test('does not wait for a pipe that such processes name as the config file', async () => {
    await lab().host([...USER, 'rm', '-f', `${HOME}/pipe`])
    await lab().host([...USER, 'mkfifo', `${HOME}/pipe`])
    for (let count = 0; count < 6; count += 1) pretend('--config-file', `${HOME}/pipe`)
    await daemon.hup()
    await expectPasses()
    expect(await daemon.term()).toBe(0)
    daemon = await lab().daemon({ config: CONFIG })
    await expectPasses()
    expect((await status()).health).toBe('healthy')
  })

  test.runIf(native)('says so when the file of the engine itself is a pipe, or not root’s', async () => {
    const file = '/etc/docker/daemon.json'
    await lab().host(['mkfifo', file])
    await daemon.hup()
    await lab().waitFor('it is told', async () =>
      (await status()).problems.join().includes('not a regular file'),
    )
    await expectPasses()
    await lab().host(['rm', file])
    await lab().writeHostFile(file, JSON.stringify({ dns: [EVIL] }))
    await lab().host(['chown', '65534', file])
    await daemon.hup()
    await lab().waitFor('it is told', async () =>
      (await status()).problems.join().includes('belongs to user 65534'),
    )
    expect(await asked()).toBe(0)
    await lab().host(['chown', '0', file])
    await daemon.hup()
    await lab().waitFor('it counts', async () => (await asked()) > 0)
    expect((await status()).resolvers).toContainEqual({ server: EVIL, origin: 'daemon.json' })
    await lab().host(['rm', file])
    await daemon.hup()
    await lab().waitFor('it counts no more', async () => (await asked()) === 0)
  })

  test.runIf(native)(
    'does not read what a container without capabilities made of its resolv.conf',
    async () => {
      const hostile = await lab().container({ name: `hostile-${native}`, host: { CapDrop: ['ALL'] } })
      const written = (
        await hostile.exec(['sh', '-c', 'truncate -s 400M /etc/resolv.conf && stat -c %s /etc/resolv.conf'])
      ).stdout
      expect(written.trim()).toBe(String(400 * 1024 * 1024))
      const grown = await growth(daemon, async () => {
        for (let count = 0; count < 4; count += 1) {
          const other = await lab().container({})
          await other.stop()
        }
        await daemon.hup()
        await expectPasses()
      })
      expect(grown).toBeLessThan(100)
      expect((await status()).health).toBe('healthy')
      await hostile.stop()
    },
  )

  test.runIf(native)('takes no config by a way on which others can put something', async () => {
    const directory = join(lab().directory, 'embargod')
    const check = () => lab().cli(['check', '--config', lab().embargod.configFile])
    expect(await check()).toMatchObject({ code: 0 })
    await lab().host(['install', '-d', '-o', '65534', join(directory, 'conf.d')])
    expect(await check()).toMatchObject({ code: 2, stdout: expect.stringContaining('belongs to user 65534') })
    await lab().host(
      [...USER, 'sh', '-c', `echo 'allow: [{ to: internet, ports: any }]' >${directory}/conf.d/x.yaml`],
      {
        okExitCodes: [1, 2],
      },
    )
    await daemon.hup()
    await lab().waitFor('it is refused', async () => (await status()).problems.join().includes('is refused'))
    await lab().host(['rm', '-r', join(directory, 'conf.d')])
    for (const mode of ['0770', '0777']) {
      await lab().host(['chmod', mode, directory])
      expect(await check()).toMatchObject({
        code: 2,
        stdout: expect.stringContaining(`chmod go-w ${directory}`),
      })
    }
    await lab().host(['chmod', '0700', directory])
    await daemon.hup()
    await lab().waitFor('recovered', async () => (await status()).health === 'healthy')
  })

  test('is followed by a cleanup when it has ended', async () => {
    expect(await daemon.kill()).not.toBe(0)
    await lab().waitFor('it is', async () => (await lab().cli(['cleanup', '--yes'])).code === 0)
  })
})
