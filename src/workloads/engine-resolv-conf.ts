import { createHash } from 'node:crypto'

/** What the engine wrote for a container. */
export interface EngineResolvConf {
  /** Loopback ones too. */
  readonly servers: readonly string[]
  /** Who asks them: the engine from the host's own network, or the container's; undefined: older engines do not say. */
  readonly askedFrom: 'host' | 'container' | undefined
}

/**
 * The resolv.conf that the engine wrote for a container. Its path is mounted into the container, which may write
 * anything there: it counts only while it has the hash that the engine keeps beside it, out of the container's reach.
 * Undefined when it is missing or was changed.
 */
export const engineResolvConf = async (
  path: string,
  readText: (path: string) => Promise<string | undefined>,
): Promise<EngineResolvConf | undefined> => {
  const [text, hash] = await Promise.all([readText(path), readText(`${path}.hash`)])
  if (text === undefined || hash === undefined) return undefined
  const actual = createHash('sha256').update(text).digest('hex')
  return hash.trim() === `sha256:${actual}`
    ? { servers: serversOf(text), askedFrom: askedFrom(text) }
    : undefined
}

/** Behind the embedded server; without it the container asks by itself. */
function askedFrom(text: string): EngineResolvConf['askedFrom'] {
  const behind = /^#\s*ExtServers:\s*\[(.*)\]/m.exec(text)?.[1]
  if (behind !== undefined) return behind.includes('host(') ? 'host' : 'container'
  return /^\s*nameserver\s+127\.0\.0\.11\b/m.test(text) ? undefined : 'container'
}

/** `nameserver` lines, and since engine 26 the servers behind the embedded one: `# ExtServers: [198.51.100.53 host(127.0.0.53)]`. */
const serversOf = (text: string): string[] =>
  text.split('\n').flatMap((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
    if (server !== undefined) return [server]
    const behind = /^#\s*ExtServers:\s*\[(.*)\]/.exec(line)?.[1] ?? ''
    return behind
      .split(/\s+/)
      .map((entry) => entry.replace(/^host\((.*)\)$/, '$1'))
      .filter((entry) => entry !== '')
  })
