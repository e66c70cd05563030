import { open, rename, rm, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface AtomicOptions {
  /** Default 0600. */
  readonly mode?: number
  /** Default: who writes. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Looks at the new file before it takes the place of the old one, which stays when this rejects. */
  readonly check?: (temporary: string) => Promise<void>
}

/**
 * Replaces a file so that a crash or a full disk leaves the old content or the new, whole: a temporary file beside it,
 * synced, renamed over it, the directory synced. One writer at a time for a path.
 */
export async function writeAtomically(
  path: string,
  content: string,
  { mode = 0o600, owner, check }: AtomicOptions = {},
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`)
  try {
    // What an earlier process left, or somebody put there: a link would be written through, and a pipe waited for.
    await unlink(temporary).catch(ignoreAbsence)
    const file = await open(temporary, 'wx', 0o600)
    try {
      if (owner) await file.chown(owner.uid, owner.gid)
      await file.chmod(mode)
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await check?.(temporary)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncDirectory(dirname(path))
}

/** Makes renames in it durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
}
