import { createHash } from 'node:crypto'

/**
 * The servers in the resolv.conf that the engine wrote for a container. Its path is mounted into the container, which may write
 * anything there: it counts only while it has the hash that the engine keeps beside it, out of the container's reach.
 * Undefined when it is missing or was changed. Loopback servers are included.
 */
export const engineResolvConf = async (
  path: string,
  readText: (path: string) => Promise<string | undefined>,
): Promise<string[] | undefined> => {
  const [text, hash] = await Promise.all([readText(path), readText(`${path}.hash`)])
  if (text === undefined || hash === undefined) return undefined
  const actual = createHash('sha256').update(text).digest('hex')
  return hash.trim() === `sha256:${actual}` ? serversOf(text) : undefined
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
