import { chmod, lstat, mkdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** The path of the daemon's socket. Its name is that of the network namespace, so that a command finds the daemon of its own namespace only. */
export async function socketPath(directory: string): Promise<string> {
  const link = await readlink('/proc/self/ns/net')
  const inode = /^net:\[(\d+)\]$/.exec(link)?.[1]
  if (inode === undefined) throw new Error(`reading /proc/self/ns/net: ${link} is no network namespace`)
  return join(directory, `${inode}.sock`)
}

/** `EMBARGOD_RUNTIME_DIR`, or `/run/embargod`. */
export function runtimeDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  return environment['EMBARGOD_RUNTIME_DIR'] || '/run/embargod'
}

/** Makes the directory, for our user alone. Rejects when it belongs to another user, who could have put anything into it. */
export async function preparePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const found = await lstat(directory)
  if (!found.isDirectory()) throw new Error(`${directory} is not a directory`)
  if (found.uid !== process.geteuid?.())
    throw new Error(`${directory} belongs to user ${found.uid}, not to us`)
  await chmod(directory, 0o700)
}
