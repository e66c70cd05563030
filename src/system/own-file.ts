import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { inTime } from './file-deadline.ts'
import { ownershipFaults, readIfThere, RefusedFileError } from './read-file.ts'

/** Ten times the size of a hundred thousand addresses. */
const MAX_BYTES = 256 * 1024 * 1024
/** Longer than the limit for other files, since a start without the state knows no address. */
const TIMEOUT_MS = 30_000

/**
 * The text of a file that embargod wrote in a directory of its own; undefined when there is none. Its content gives rights, so file and directory have
 * to be root's.
 */
export async function readOwn(path: string): Promise<string | undefined> {
  const directory = dirname(path)
  try {
    const { uid, mode } = await inTime(`looking at ${directory}`, () => stat(directory), TIMEOUT_MS)
    const faults = ownershipFaults({ uid, mode: mode & 0o7777 })
    if (faults.length > 0) throw new RefusedFileError(`${directory} ${faults.join('; it ')}`)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  return readIfThere(path, { maxBytes: MAX_BYTES, timeoutMs: TIMEOUT_MS, follow: false, byRootAlone: true })
}
