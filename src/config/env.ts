import { readdir } from 'node:fs/promises'
import { inTime } from '../system/file-deadline.ts'
import { readOnce, type OpenedFile } from '../system/read-file.ts'
import { pathFaults } from '../system/trusted-path.ts'

/** What loading a config asks of the host. `read` and `list` reject with a `code` (`ENOENT`, `EACCES`, …) as node:fs does. */
export interface ConfigEnv {
  /** Facts and content of one and the same file. */
  read(path: string, maxBytes: number): Promise<OpenedFile>
  /** Names in a directory, in any order. */
  list(directory: string): Promise<readonly string[]>
  /** Why others than root may decide what the path leads to, directory by directory; each goes on from the path. Never rejects. */
  pathFaults(path: string): Promise<readonly string[]>
  nowMs(): number
}

export const hostConfigEnv: ConfigEnv = {
  read: (path, maxBytes) => readOnce(path, { maxBytes }),
  list: (directory) => inTime(`listing ${directory}`, () => readdir(directory)),
  pathFaults,
  nowMs: () => Date.now(),
}
