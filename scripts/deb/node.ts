import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tool } from './tool.ts'

/** The Node that the package carries: a long-term release, whatever the machine that builds has. */
const NODE_VERSION = '24.21.0'

/** Of the archive that npm serves as `node-linux-<arch>`; one with another hash is refused. */
const INTEGRITY: Readonly<Record<string, string>> = {
  x64: '3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  arm64: 'FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
}

/** The folder with `bin/node` and `LICENSE` for this machine's processor; fetched into `cache` once. */
export async function nodeFolder(cache: string): Promise<string> {
  const name = `node-linux-${process.arch}`
  const expected = INTEGRITY[process.arch]
  if (expected === undefined) throw new Error(`no package is made for ${process.arch}`)
  const folder = join(cache, `${name}-${NODE_VERSION}`)
  if (existsSync(folder)) return folder
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, 'fetch-node-'))
  try {
    await tool(['npm', 'pack', '--silent', `${name}@${NODE_VERSION}`, '--pack-destination', work])
    const archive = join(work, `${name}-${NODE_VERSION}.tgz`)
    const found = createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')
    if (found !== expected) throw new Error(`${name}@${NODE_VERSION} has the hash ${found}, not ${expected}`)
    await tool(['tar', '-C', work, '-xzf', archive, 'package/bin/node', 'package/LICENSE'])
    // Another build may have been first.
    if (!existsSync(folder)) await rename(join(work, 'package'), folder)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}
