import { ownershipFaults, tooLarge, type OpenedFile } from '../system/read-file.ts'
import type { ConfigEnv } from './env.ts'
import { errorMessage } from '../system/errors.ts'

/** The text of a file that root alone can have written and put there, or every reason why it is not taken. */
export async function readTrusted(
  env: Pick<ConfigEnv, 'read' | 'pathFaults'>,
  path: string,
  maxBytes: number,
): Promise<{ readonly text: string } | { readonly reasons: readonly string[] }> {
  // First: where root alone decides on every step of the way, nobody can put another file in its place afterwards.
  const onTheWay = await env.pathFaults(path)
  try {
    const { facts, bytes } = await env.read(path, maxBytes)
    const reasons = [...onTheWay, ...faults(facts, maxBytes)]
    if (reasons.length > 0) return { reasons }
    if (bytes === undefined) return { reasons: [tooLarge(facts.size, maxBytes)] }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch (error) {
    return { reasons: [...onTheWay, reasonOf(error)] }
  }
}

function faults(facts: OpenedFile['facts'], maxBytes: number): string[] {
  if (facts.kind === 'directory') return ['is a directory, not a file']
  if (facts.kind === 'other') return ['is not a regular file']
  const reasons = ownershipFaults(facts)
  if (facts.size > maxBytes) reasons.push(tooLarge(facts.size, maxBytes))
  return reasons
}

/** In the words of {@link readTrusted}: a sentence that goes on from the file's name. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'cannot be read: permission denied'
  if (code === 'EISDIR') return 'is a directory, not a file'
  // A socket, or a device that nothing is behind.
  if (code === 'ENXIO' || code === 'ENODEV') return 'is not a regular file'
  if (code === 'ELOOP') return 'cannot be read: too many symbolic links'
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text'
  return `cannot be read: ${errorMessage(error)}`
}
