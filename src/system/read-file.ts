import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { inTime, isOfKernel } from './file-deadline.ts'

export interface ReadLimits {
  readonly maxBytes: number
  /** False: the file itself must not be a symbolic link. Default true. */
  readonly follow?: boolean
  /** Default 5 seconds. */
  readonly timeoutMs?: number
}

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other'
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface OpenedFile {
  readonly facts: FileFacts
  /** Undefined where it is no regular file, or is longer than the limit. */
  readonly bytes: Buffer | undefined
}

/** A file that may not be used. The message continues the file's name. */
export class RefusedFileError extends Error {
  override readonly name = 'RefusedFileError'
}

const CHUNK_BYTES = 65_536

/**
 * Every file that somebody else may have written is read here. The file is opened once, and facts and content come from this descriptor, so that no other
 * file can take its place in between. Opening never waits for a writer, as it would for a pipe, and no more than the limit is read.
 * Rejects with the `code` of `node:fs`, or with `ETIMEDOUT`.
 */
export function readOnce(path: string, limits: ReadLimits): Promise<OpenedFile> {
  return inTime(`reading ${path}`, () => openAndRead(path, limits), limits.timeoutMs, isOfKernel(path))
}

/** The text of a regular file. Rejects with {@link RefusedFileError} for anything else. */
export async function readBounded(
  path: string,
  limits: ReadLimits & {
    /** Refuses a file that others than root can have written, for texts that give rights. */
    readonly byRootAlone?: boolean
  },
): Promise<string> {
  const { facts, bytes } = await readOnce(path, limits)
  const reasons = limits.byRootAlone ? ownershipFaults(facts) : []
  if (facts.kind !== 'file') throw new RefusedFileError(`${path} is not a regular file`)
  if (reasons.length > 0) throw new RefusedFileError(`${path} ${reasons.join('; it ')}`)
  if (bytes === undefined) throw new RefusedFileError(`${path} ${tooLarge(facts.size, limits.maxBytes)}`)
  return bytes.toString('utf8')
}

/** As {@link readBounded}; undefined when there is no such file. */
export async function readIfThere(
  ...[path, limits]: Parameters<typeof readBounded>
): Promise<string | undefined> {
  try {
    return await readBounded(path, limits)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Why others than root may have written a file with these facts. Each text continues the file's name. */
export function ownershipFaults({ uid, mode }: Pick<FileFacts, 'uid' | 'mode'>): string[] {
  const reasons: string[] = []
  if (uid !== 0) reasons.push(`belongs to user ${uid}, not to root: chown root it`)
  if ((mode & 0o022) !== 0) {
    reasons.push(
      `can be written by others than root (mode ${mode.toString(8).padStart(4, '0')}): chmod go-w it`,
    )
  }
  return reasons
}

/** @param size 0 for the kernel's own files, which have no size */
export const tooLarge = (size: number, maxBytes: number): string =>
  size > maxBytes
    ? `is too large: ${size} bytes, of at most ${sizeText(maxBytes)}`
    : `is too large: more than ${sizeText(maxBytes)}`

const sizeText = (bytes: number): string =>
  bytes >= 1024 * 1024 ? `${bytes / 1024 / 1024} MiB` : `${bytes} bytes`

const { O_RDONLY, O_NONBLOCK, O_NOCTTY, O_NOFOLLOW } = constants

async function openAndRead(path: string, { maxBytes, follow = true }: ReadLimits): Promise<OpenedFile> {
  const handle = await open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (follow ? 0 : O_NOFOLLOW))
  try {
    const found = await handle.stat()
    const kind = found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other'
    const { size, uid, gid } = found
    const facts: FileFacts = { kind, size, mode: found.mode & 0o7777, uid, gid }
    const isWanted = kind === 'file' && size <= maxBytes
    return { facts, bytes: isWanted ? await readUpTo(handle, maxBytes) : undefined }
  } finally {
    await handle.close()
  }
}

/** Undefined: it is longer than the limit. The size in the facts does not decide, since a file may grow, and the kernel's own files say 0. */
async function readUpTo(handle: FileHandle, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let total = 0
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, maxBytes + 1 - total))
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, null)
    if (bytesRead === 0) return Buffer.concat(chunks)
    total += bytesRead
    if (total > maxBytes) return undefined
    chunks.push(chunk.subarray(0, bytesRead))
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined
