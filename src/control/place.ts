import { chmod, lstat, mkdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the daemon's socket lies: one name a network namespace, so that a CLI finds the daemon of its own and no other. */
export async function socketPath(directory: string): Promise<string> {
  const link = await readlink('/proc/self/ns/net')
  const inode = /^net:\[(\d+)\]$/.exec(link)?.[1]
  if (inode === undefined) throw new Error(`reading /proc/self/ns/net: ${link} is no network namespace`)
  return join(directory, `${inode}.sock`)
}

/** `EMBARGOD_RUNTIME_DIR`, else where services keep such things. */
export function runtimeDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  return environment['EMBARGOD_RUNTIME_DIR'] || '/run/embargod'
}

/** Makes the directory, for our user alone. Rejects when somebody else made it: what lies in it could be anybody's. */
export async function preparePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const found = await lstat(directory)
  if (!found.isDirectory()) throw new Error(`${directory} is not a directory`)
  if (found.uid !== process.geteuid?.())
    throw new Error(`${directory} belongs to user ${found.uid}, not to us`)
  await chmod(directory, 0o700)
}
