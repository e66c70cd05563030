import { mkdir, open, rename, rm, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { inTime } from './file-deadline.ts'

export interface AtomicOptions {
  /** Default 0600. */
  readonly mode?: number
  /** Default: the user of this process. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Makes the directory, for its owner alone, where there is none. */
  readonly makeDirectory?: boolean
  /** Looks at the new file before it takes the place of the old one, which stays when this rejects. */
  readonly check?: (temporary: string) => Promise<void>
}

/** A pass may wait for a write. */
const WRITE_MS = 10_000
/** A disk that writes less than a megabyte a second is treated as one that does not answer. */
const WRITE_MS_PER_CHARACTER = 0.001
/** The latest write of each path. Writes of one path take turns. */
const turns = new Map<string, Promise<void>>()
/** Paths of which a write is still running, perhaps long after its time limit. A second write could be put in place half-written by the first. */
const unfinished = new Set<string>()

/**
 * Replaces a file so that a crash or a full disk leaves the old content or the new, whole: a temporary file beside it,
 * synced, renamed over it, the directory synced. Writes of one path take turns. Rejects when the disk does not answer in time, and from then on for as
 * long as that write goes on.
 */
export function writeAtomically(path: string, content: string, options: AtomicOptions = {}): Promise<void> {
  const write = (): Promise<void> => writeInTime(path, content, options)
  const turn = (turns.get(path) ?? Promise.resolve()).then(write, write)
  turns.set(path, turn)
  const leave = (): void => void (turns.get(path) === turn && turns.delete(path))
  turn.then(leave, leave)
  return turn
}

async function writeInTime(path: string, content: string, options: AtomicOptions): Promise<void> {
  const doing = `writing ${path}`
  if (unfinished.has(path)) throw new Error(`${doing}: an earlier write of it has not ended`)
  const write = async (): Promise<void> => {
    unfinished.add(path)
    try {
      await replace(path, content, options)
    } finally {
      unfinished.delete(path)
    }
  }
  await inTime(doing, write, WRITE_MS + WRITE_MS_PER_CHARACTER * content.length)
}

async function replace(
  path: string,
  content: string,
  { mode = 0o600, owner, makeDirectory = false, check }: AtomicOptions,
): Promise<void> {
  if (makeDirectory) await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = join(dirname(path), `.${basename(path)}.tmp`)
  try {
    // An earlier process, or somebody else, may have left a file here. A link would be followed, and a pipe would be waited for.
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
