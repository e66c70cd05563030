import { createHash } from 'node:crypto'
import { RefusedFileError } from '../../system/read-file.ts'

/** What the engine wrote for a container. */
export interface EngineResolvConf {
  /** Loopback servers too. Empty when the container may have written them. */
  readonly servers: readonly string[]
  /**
   * The network from which they are asked: the host's own, or the container's. Undefined: engines before 26 do not say. The hash does not prove it,
   * since the engine rewrites the file for its embedded server and leaves the hash as it was.
   */
  readonly askedFrom: 'host' | 'container' | undefined
}

/**
 * The resolv.conf that the engine wrote for a container. Its path is mounted into the container, which may write
 * anything there. So servers count only while the file has the hash that the engine keeps beside it, out of the container's reach.
 * Undefined when one of the two is missing.
 */
export const engineResolvConf = async (
  path: string,
  readText: (path: string) => Promise<string | undefined>,
): Promise<EngineResolvConf | undefined> => {
  const [text, hash] = await Promise.all([readText(path).catch(foreign), readText(`${path}.hash`)])
  if (text === undefined || hash === undefined) return undefined
  if (text === FOREIGN) return { servers: [], askedFrom: undefined }
  const actual = createHash('sha256').update(text).digest('hex')
  const isEngines = hash.trim() === `sha256:${actual}`
  return { servers: isEngines ? serversOf(text) : [], askedFrom: askedFrom(text) }
}

/** The engine writes no file that we refuse to read, so the container wrote this one. */
const FOREIGN = Symbol('written by the container')
const foreign = (error: unknown): typeof FOREIGN => {
  if (error instanceof RefusedFileError) return FOREIGN
  throw error
}

/** The servers behind the embedded one. Without an embedded server the container asks by itself. */
function askedFrom(text: string): EngineResolvConf['askedFrom'] {
  const lines = text.split('\n')
  const behind = lines.map(extServersIn).find((servers) => servers !== undefined)
  if (behind !== undefined) return behind.includes('host(') ? 'host' : 'container'
  return lines.some((line) => EMBEDDED.test(line)) ? undefined : 'container'
}

/** Matched line by line. The container can write this text, and a `\s*` over line breaks would take quadratic time on empty lines. */
const extServersIn = (line: string): string | undefined => /^#\s*ExtServers:\s*\[(.*)\]/.exec(line)?.[1]
const EMBEDDED = /^\s*nameserver\s+127\.0\.0\.11\b/

/** `nameserver` lines, and since engine 26 the servers behind the embedded one: `# ExtServers: [198.51.100.53 host(127.0.0.53)]`. */
const serversOf = (text: string): string[] =>
  text.split('\n').flatMap((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
    if (server !== undefined) return [server]
    return (extServersIn(line) ?? '')
      .split(/\s+/)
      .map((entry) => entry.replace(/^host\((.*)\)$/, '$1'))
      .filter((entry) => entry !== '')
  })
