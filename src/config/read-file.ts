import type { ConfigEnv, FileFacts } from './env.ts'

/** The text of a file that root alone can have written, or every reason why it is not taken. */
export async function readTrusted(
  env: ConfigEnv,
  path: string,
  maxBytes: number,
): Promise<{ readonly text: string } | { readonly reasons: readonly string[] }> {
  try {
    const reasons = faults(await env.stat(path), maxBytes)
    if (reasons.length > 0) return { reasons }
    const bytes = await env.readFile(path)
    if (bytes.length > maxBytes) return { reasons: [tooLarge(bytes.length, maxBytes)] }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch (error) {
    return { reasons: [reasonOf(error)] }
  }
}

function faults(facts: FileFacts, maxBytes: number): string[] {
  if (facts.kind === 'directory') return ['is a directory, not a file']
  if (facts.kind === 'other') return ['is not a regular file']
  const reasons: string[] = []
  if (facts.uid !== 0) reasons.push(`belongs to user ${facts.uid}, not to root: chown root it`)
  if ((facts.mode & 0o022) !== 0) {
    reasons.push(
      `can be written by others than root (mode ${facts.mode.toString(8).padStart(4, '0')}): chmod go-w it`,
    )
  }
  if (facts.size > maxBytes) reasons.push(tooLarge(facts.size, maxBytes))
  return reasons
}

const tooLarge = (size: number, maxBytes: number): string =>
  `is too large: ${size} bytes, of at most ${maxBytes / 1024 / 1024} MiB`

/** In the words of {@link readTrusted}: a sentence that goes on from the file's name. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'cannot be read: permission denied'
  if (code === 'EISDIR') return 'is a directory, not a file'
  if (code === 'ELOOP') return 'cannot be read: too many symbolic links'
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text'
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`
}
