import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../src/system/exec.ts'
import { CACHE } from './engines.ts'

/** The files of a package of the machine's own Debian, unpacked and not installed: no script of it runs. Fetched once. */
export async function unpacked(name: string): Promise<string> {
  const folder = join(CACHE, 'packages', name)
  if (existsSync(folder)) return folder
  await mkdir(join(CACHE, 'packages'), { recursive: true })
  const work = await mkdtemp(join(CACHE, 'packages', 'fetch-'))
  try {
    const fetch = ['apt-get', '-o', 'APT::Sandbox::User=root', '-q', 'download', name]
    await run(['env', '-C', work, ...fetch], { timeoutMs: 300_000 })
    const deb = (await readdir(work)).find((file) => file.endsWith('.deb'))
    if (deb === undefined) throw new Error('apt-get downloaded nothing')
    await run(['dpkg-deb', '-x', join(work, deb), join(work, 'tree')], { timeoutMs: 60_000 })
    // Another test file may have been first.
    if (!existsSync(folder)) await rename(join(work, 'tree'), folder)
  } catch (cause) {
    throw new Error(`fetching the package ${name}`, { cause })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}
