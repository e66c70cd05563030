import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { VERSION } from '../src/version.ts'
import { makeExecutable } from './deb/executable.ts'
import { nodeFolder } from './deb/node.ts'
import { tool } from './deb/tool.ts'
import { layOut, settle, type PackageFacts } from './deb/tree.ts'

/**
 * Makes `dist/embargod_<version>_<architecture>.deb`: one executable with its own Node, units, a config, documents. Needs no
 * root. DEBFULLNAME and DEBEMAIL name the maintainer, SOURCE_DATE_EPOCH the date; without it, it is that of the last commit.
 */
const { values } = parseArgs({
  options: {
    /** The package's, where it is not the program's. */
    version: { type: 'string', default: VERSION },
    /** The folder for the package. */
    out: { type: 'string' },
    /** A bundle to pack; without it, one is built. */
    bundle: { type: 'string' },
    /** As dpkg-deb's -Z: `none` for tests, since packing takes a minute. */
    compression: { type: 'string', default: 'xz' },
  },
})

const root = join(import.meta.dirname, '..')
const out = values.out ?? join(root, 'dist')
const epoch =
  process.env['SOURCE_DATE_EPOCH'] ?? (await tool(['git', '-C', root, 'log', '-1', '--format=%ct']))
const facts: PackageFacts = {
  version: values.version,
  architecture: await tool(['dpkg', '--print-architecture']),
  maintainer: `${process.env['DEBFULLNAME'] ?? 'embargod maintainers'} <${process.env['DEBEMAIL'] ?? 'maintainers@embargod.invalid'}>`,
  date: new Date(Number(epoch) * 1000),
}

// Builds dist/embargod.cjs.
if (values.bundle === undefined) await import('./build.ts')
const bundle = values.bundle ?? join(root, 'dist/embargod.cjs')
const node = await nodeFolder(join(root, '.cache'))
const work = await mkdtemp(join(tmpdir(), 'embargod-deb-'))
try {
  const tree = join(work, 'tree')
  await mkdir(join(tree, 'usr/bin'), { recursive: true })
  await makeExecutable(join(node, 'bin/node'), bundle, join(tree, 'usr/bin/embargod'))
  // Where the program looks for it. Some machines have none.
  const native = join(dirname(bundle), 'koffi.node')
  if (existsSync(native)) {
    await mkdir(join(tree, 'usr/lib/embargod'), { recursive: true })
    await tool(['strip', '--strip-unneeded', '-o', join(tree, 'usr/lib/embargod/koffi.node'), native])
    await chmod(join(tree, 'usr/lib/embargod/koffi.node'), 0o644)
  }
  await layOut(root, tree, facts, join(node, 'LICENSE'))
  await settle(tree, facts.date)
  const name = `embargod_${facts.version}_${facts.architecture}.deb`
  await mkdir(out, { recursive: true })
  // Written beside its place and then renamed, so that half a package is never installed.
  const made = join(out, `.${name}.${process.pid}`)
  await tool(['dpkg-deb', '--root-owner-group', `-Z${values.compression}`, '--build', tree, made], {
    SOURCE_DATE_EPOCH: epoch,
  })
  await rename(made, join(out, name))
  console.log(
    `${join(out, name)}: ${((await stat(join(out, name))).size / 1e6).toFixed(1)} MB, Node inside, version ${facts.version}`,
  )
} finally {
  await rm(work, { recursive: true, force: true })
}
