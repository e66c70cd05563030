import { readdir, readFile, stat } from 'node:fs/promises'

/** What loading a config asks of the host. Each rejects with a `code` (`ENOENT`, `EACCES`, …) as node:fs does. */
export interface ConfigEnv {
  readFile(path: string): Promise<Uint8Array>
  stat(path: string): Promise<FileFacts>
  /** Names in a directory, in any order. */
  list(directory: string): Promise<readonly string[]>
  nowMs(): number
}

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other'
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
}

export const hostConfigEnv: ConfigEnv = {
  readFile: (path) => readFile(path),
  async stat(path) {
    const found = await stat(path)
    const kind = found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other'
    return { kind, size: found.size, mode: found.mode & 0o7777, uid: found.uid }
  },
  list: (directory) => readdir(directory),
  nowMs: () => Date.now(),
}
