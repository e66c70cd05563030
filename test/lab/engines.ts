import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/system/exec.ts'
import { debianMirror } from './debian-mirror.ts'

export const ENGINE_VERSIONS = ['20.10', '26.1', '28.5'] as const
export type EngineVersion = (typeof ENGINE_VERSIONS)[number]

export const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))

/** Debian's suite that carries an engine. */
const SUITE: Readonly<Record<EngineVersion, string>> = {
  '20.10': 'bookworm',
  '26.1': 'trixie',
  '28.5': 'forky',
}

/** Engines since 28 let nobody from outside come to a container past its published ports, by its own address. */
export const closesDirectWays = (version: EngineVersion): boolean => version === '28.5'

/** The engine that tests use unless they say otherwise: `EMBARGOD_LAB_ENGINE`, else Debian 12's. */
export function chosenEngine(): EngineVersion {
  const wanted = process.env['EMBARGOD_LAB_ENGINE'] ?? '20.10'
  const version = ENGINE_VERSIONS.find((known) => known === wanted)
  if (!version) throw new Error(`EMBARGOD_LAB_ENGINE is ${wanted}, not one of ${ENGINE_VERSIONS.join(', ')}`)
  return version
}

/** The folder to put in front of PATH for this engine; undefined for the installed one. Fetched once. */
export async function engineBinaries(version: EngineVersion): Promise<string | undefined> {
  const installed = await run(['dockerd', '--version'])
  if (installed.stdout.includes(` ${version}.`)) return undefined
  const folder = join(CACHE, 'engines', version)
  if (!existsSync(folder)) await fetchEngine(SUITE[version], folder)
  return join(folder, 'bin')
}

/** Reads the suite's package list with an apt configuration of its own: the machine's stays as it is. */
async function fetchEngine(suite: string, folder: string): Promise<void> {
  await mkdir(join(CACHE, 'engines'), { recursive: true })
  const work = await mkdtemp(join(CACHE, 'engines', 'fetch-'))
  try {
    await Promise.all(
      ['lists/partial', 'cache/archives/partial', 'tree', 'out/bin'].map((name) =>
        mkdir(join(work, name), { recursive: true }),
      ),
    )
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
    await writeFile(
      join(work, 'sources.list'),
      `deb [signed-by=${keyring}] ${await debianMirror()} ${suite} main\n`,
    )
    await writeFile(join(work, 'status'), '')
    const settings = {
      'Dir::Etc::SourceList': join(work, 'sources.list'),
      'Dir::Etc::SourceParts': '/dev/null',
      'Dir::State::Lists': join(work, 'lists'),
      'Dir::State::status': join(work, 'status'),
      'Dir::Cache': join(work, 'cache'),
      'APT::Sandbox::User': 'root',
    }
    const apt = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    await run(['apt-get', ...apt, '-q', 'update'], { timeoutMs: 300_000 })
    const debs = join(work, 'cache')
    for (const name of ['docker.io', 'containerd']) {
      await run(['env', '-C', debs, 'apt-get', ...apt, '-q', 'download', name], { timeoutMs: 600_000 })
    }
    for (const deb of (await readdir(debs)).filter((file) => file.endsWith('.deb'))) {
      await run(['dpkg-deb', '-x', join(debs, deb), join(work, 'tree')], { timeoutMs: 120_000 })
    }
    // The installed runc and docker-init stay in use: the newest ones want a newer libc.
    const wanted = [
      'sbin/dockerd',
      'sbin/docker-proxy',
      'bin/docker-proxy',
      'bin/containerd',
      'bin/containerd-shim-runc-v2',
    ]
    for (const file of wanted) {
      const from = join(work, 'tree', 'usr', file)
      if (existsSync(from)) await run(['mv', from, join(work, 'out', 'bin')])
    }
    if (!existsSync(join(work, 'out/bin/dockerd')))
      throw new Error(`the docker.io of ${suite} holds no dockerd`)
    // Another test file may have been first.
    if (!existsSync(folder)) await rename(join(work, 'out'), folder)
  } catch (cause) {
    throw new Error(`fetching the Docker engine of Debian ${suite}`, { cause })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
