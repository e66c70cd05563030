import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tool } from './tool.ts'

/** What Node looks for in its own file, to learn that it is not Node any more. Node's documentation gives it. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** Writes one executable that is Node and the bundle, and reads neither NODE_OPTIONS nor node_modules. */
export async function makeExecutable(node: string, bundle: string, target: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'embargod-sea-'))
  try {
    const [config, blob] = [join(work, 'sea.json'), join(work, 'sea.blob')]
    const settings = {
      main: bundle,
      output: blob,
      disableExperimentalSEAWarning: true,
      execArgvExtension: 'none',
      // V8's cache would start it 0.07 s earlier, and make each build another file.
      useCodeCache: false,
    }
    await writeFile(config, JSON.stringify(settings))
    await tool([node, '--experimental-sea-config', config])
    await copyFile(node, target)
    await chmod(target, 0o755)
    // 18 MB of symbols. Before the program is put in, which strip would take for one.
    await tool(['strip', target])
    const postject = fileURLToPath(import.meta.resolve('postject/dist/cli.js'))
    await tool([process.execPath, postject, target, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE])
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
