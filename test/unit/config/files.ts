import type { ConfigEnv } from '../../../src/config/env.ts'
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts'
import { formatProblem } from '../../../src/config/problem.ts'

export interface FakeFile {
  readonly bytes?: Uint8Array
  readonly kind?: 'file' | 'directory' | 'other'
  readonly mode?: number
  readonly uid?: number
  readonly size?: number
  readonly failure?: string
}

export const NOW_MS = Date.UTC(2026, 5, 15, 12)
export const MAIN = '/etc/embargod/embargod.yaml'

/** Files that exist only here: text for an ordinary one of root's, or its facts. */
export function fakeEnv(
  files: Readonly<Record<string, string | FakeFile>>,
  faultsOf: (path: string) => readonly string[] = () => [],
): ConfigEnv {
  const find = (path: string): FakeFile => {
    const found = files[path]
    if (found === undefined) throw failure('ENOENT')
    const file = typeof found === 'string' ? { bytes: new TextEncoder().encode(found) } : found
    if (file.failure !== undefined) throw failure(file.failure)
    return file
  }
  return {
    async read(path, maxBytes) {
      const {
        kind = 'file',
        mode = 0o644,
        uid = 0,
        bytes = new Uint8Array(),
        size = bytes.length,
      } = find(path)
      const isWanted = kind === 'file' && size <= maxBytes && bytes.length <= maxBytes
      return { facts: { kind, mode, uid, gid: 0, size }, bytes: isWanted ? Buffer.from(bytes) : undefined }
    },
    pathFaults: async (path) => faultsOf(path),
    async list(directory) {
      const names = Object.keys(files).filter((path) => path.startsWith(`${directory}/`))
      if (names.length === 0) throw failure('ENOENT')
      return names.map((path) => path.slice(directory.length + 1)).toReversed()
    },
    nowMs: () => NOW_MS,
  }
}

export const load = (
  main: string,
  others: Readonly<Record<string, string | FakeFile>> = {},
): Promise<LoadedConfig> => loadConfig(MAIN, fakeEnv({ [MAIN]: main, ...others }))

/** The problems of a config as an operator reads them, with the main file's folder cut off. */
export async function problemsIn(
  main: string,
  others: Readonly<Record<string, string | FakeFile>> = {},
): Promise<string[]> {
  const { problems } = await load(main, others)
  return problems.map((problem) => formatProblem(problem).replace('/etc/embargod/', ''))
}

const failure = (code: string): Error => Object.assign(new Error(code), { code })
