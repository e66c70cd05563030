import { createReadStream } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type Docker from 'dockerode'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { run } from '../../src/system/exec.ts'
import type { LabContainer } from './container.ts'
import { leaksDuring } from './leaks.ts'
import { useLab } from './shared-lab.ts'
import { bundle } from './systemd-host.ts'
import { hostTree } from './systemd-tree.ts'
import { fetchPage } from './web.ts'

/** The Dockerfile, built by the lab's engine from a base imported here, and its container as the only daemon of the host. */
const lab = useLab({ name: 'image' })

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BASE = 'base:1'
const IMAGE = 'embargod:1'
const PAGE = 'http://allowed.example/'

let shop: LabContainer
let embargod: Docker.Container

beforeAll(async () => {
  await importBase()
  await buildImage()
  await lab().writeHostFile('/run/config', 'allow: [allowed.example]\n')
  await lab().host(['install', '-D', '-m', '0600', '/run/config', '/etc/embargod/embargod.yaml'])
  shop = await lab().container()
}, 900_000)

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail')
    console.error((await embargod.logs({ stdout: true, stderr: true })).toString())
})

test('unguarded, the flood arrives', async () => {
  expect(await leakedDuring(async () => undefined, 1)).toBeGreaterThan(500)
})

test('the image is small, and knows how to tell its health', async () => {
  const [image, base] = await Promise.all([IMAGE, BASE].map((name) => lab().docker.getImage(name).inspect()))
  // The program, and Node, which the base has already.
  expect((image?.Size ?? Infinity) - (base?.Size ?? 0)).toBeLessThan(130_000_000)
  expect(image?.Config.Entrypoint).toEqual(['/usr/bin/embargod'])
  expect(image?.Config.Healthcheck).toMatchObject({
    Test: ['CMD-SHELL', expect.stringContaining('embargod status')],
  })
})

test('with two capabilities and nothing writable it guards the host and becomes healthy', async () => {
  embargod = await lab().docker.createContainer({
    name: 'embargod',
    Image: IMAGE,
    // What is asked is the image's; only not every 30 seconds.
    Healthcheck: { Interval: 1e9 },
    HostConfig: {
      NetworkMode: 'host',
      CapDrop: ['ALL'],
      CapAdd: ['NET_ADMIN', 'NET_RAW'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      RestartPolicy: { Name: 'always' },
      Binds: [
        '/var/run/docker.sock:/var/run/docker.sock',
        '/etc/embargod:/etc/embargod:ro',
        '/var/lib/embargod:/var/lib/embargod',
        '/run/embargod:/run/embargod',
        `${join(lab().directory, 'data/containers')}:/var/lib/docker/containers:ro`,
      ],
    },
  })
  await embargod.start()
  await lab().waitFor('healthy', isHealthy, 30_000)
  await expectGuarded()
  expect((await lab().host(['ls', '/var/lib/embargod'])).stdout).toContain('closed-guard.nft')
})

test('its commands run in it', async () => {
  const status = await inside(['embargod', 'status'])
  expect(status).toMatch(/backstop\s+yes/)
  expect(status).toMatch(/allowed\.example\s+fresh/)
  // Its own container is as trusted as root, and is named like any other.
  expect(status).toMatch(/docker-socket-mounted\s+embargod/)
})

test('a refused config turns it unhealthy, and the old policy stays', async () => {
  await writeConfig('alow: []\n')
  await embargod.kill({ signal: 'SIGHUP' })
  await lab().waitFor('unhealthy', async () => (await healthOf()) === 'unhealthy', 30_000)
  await expectGuarded()
  await writeConfig('allow: [allowed.example]\n')
  await embargod.kill({ signal: 'SIGHUP' })
  await lab().waitFor('healthy', isHealthy, 30_000)
})

test('restarted or killed, it leaks nothing and takes its rules over', async () => {
  expect(await leakedDuring(() => embargod.restart({ t: 10 }), 4)).toBe(0)
  await lab().waitFor('healthy', isHealthy, 30_000)
  await expectGuarded()
  const { Pid } = (await embargod.inspect()).State
  expect(await leakedDuring(() => lab().host(['kill', '-KILL', String(Pid)]), 4)).toBe(0)
  await lab().waitFor(
    'healthy',
    async () => (await embargod.inspect()).State.Pid !== Pid && isHealthy(),
    30_000,
  )
  await expectGuarded()
})

test('the engine restarted: it comes back with it', async () => {
  await lab().restartEngine()
  shop = await lab().container()
  expect(await leakedDuring(async () => undefined, 2)).toBe(0)
  await lab().waitFor('healthy', isHealthy, 30_000)
  await expectGuarded()
})

test('stopped and removed, the rules stay', async () => {
  expect(await leakedDuring(() => embargod.stop({ t: 10 }), 2)).toBe(0)
  expect((await embargod.inspect()).State.ExitCode).toBe(0)
  await embargod.remove()
  await expectGuarded()
})

const leakedDuring = (disturb: () => Promise<unknown>, seconds: number): Promise<number> =>
  leaksDuring(lab(), shop, disturb, { seconds })

async function expectGuarded(): Promise<void> {
  expect(await fetchPage(shop, PAGE)).toMatchObject({ code: 0 })
  expect(await leakedDuring(async () => undefined, 1)).toBe(0)
}

const healthOf = async (): Promise<string | undefined> => (await embargod.inspect()).State.Health?.Status
const isHealthy = async (): Promise<boolean> => (await healthOf()) === 'healthy'

async function inside(argv: readonly string[]): Promise<string> {
  const exec = await embargod.exec({ Cmd: [...argv], AttachStdout: true, Tty: true })
  const stream = await exec.start({ hijack: true, stdin: false, Tty: true })
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

const writeConfig = (yaml: string): Promise<unknown> =>
  lab().host(['dd', 'of=/etc/embargod/embargod.yaml', 'status=none'], { input: yaml })

/** A Debian with Node and the tools, as the images of a registry would be. */
async function importBase(): Promise<void> {
  const tree = await hostTree()
  const tar = join(lab().directory, 'base.tar')
  const [usrLocalBin, node] = ['./usr/local/bin/node', process.execPath]
  const left = [
    'usr/share',
    'usr/lib/systemd',
    'var/lib/dpkg',
    'var/lib/apt',
    'var/cache',
    'dev',
    'proc',
    'sys',
  ].map((path) => `${path}/*`)
  const engine = ['usr/sbin/docker*', 'usr/bin/docker*', 'usr/bin/containerd*', 'usr/bin/ctr']
  const without = [...left, ...engine].map((path) => `--exclude=./${path}`)
  await run(['tar', '-C', tree, ...without, '-cf', tar, '.'], {
    timeoutMs: 120_000,
  })
  await run(['tar', '-P', '--transform', `s#^${node}$#${usrLocalBin}#`, '--dereference', '-rf', tar, node], {
    timeoutMs: 60_000,
  })
  await followed(await lab().docker.importImage(createReadStream(tar), { repo: 'base', tag: '1' }))
}

async function buildImage(): Promise<void> {
  const context = join(lab().directory, 'context')
  await mkdir(join(context, 'dist'), { recursive: true })
  await copyFile(bundle(), join(context, 'dist/embargod.cjs'))
  await run(['chmod', '0755', join(context, 'dist/embargod.cjs')])
  await copyFile(join(dirname(bundle()), 'koffi.node'), join(context, 'dist/koffi.node'))
  await copyFile(join(ROOT, 'Dockerfile'), join(context, 'Dockerfile'))
  await run(['tar', '-C', context, '-cf', `${context}.tar`, '.'])
  await followed(
    await lab().docker.buildImage(createReadStream(`${context}.tar`), {
      t: IMAGE,
      buildargs: { NODE: BASE, BASE },
    }),
  )
}

/** The engine tells of failures in the stream, not in the answer. */
function followed(progress: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    lab().docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()))
  })
}
