import { isIP } from 'node:net'

/** Reads a file as text; undefined when it does not exist. Rejects for every other failure. */
export type ReadText = (path: string) => Promise<string | undefined>

const HOST_FILE = '/etc/resolv.conf'
/** What systemd-resolved itself asks, when the host's file names only its stub on 127.0.0.53. */
const RESOLVED_FILE = '/run/systemd/resolve/resolv.conf'
const ENGINE_STUB = '127.0.0.53'
const STUBS: ReadonlySet<string> = new Set([ENGINE_STUB, '127.0.0.54'])

/** The name servers that the host uses, in its order; loopback ones only when there is nothing else, and none when nothing names any. */
export async function hostNameServers(readText: ReadText): Promise<string[]> {
  const own = nameServersIn((await readText(HOST_FILE)) ?? '')
  const remote = own.filter((server) => !isLoopback(server))
  if (remote.length > 0) return remote
  if (!own.every((server) => STUBS.has(server))) return own
  const behindStub = nameServersIn((await readText(RESOLVED_FILE)) ?? '').filter(
    (server) => !isLoopback(server),
  )
  return behindStub.length > 0 ? behindStub : own
}

/** The name servers that a Docker engine reads of the host, in their order, loopback ones too. It looks behind the stub of systemd-resolved only where that is the only one. */
export async function engineNameServers(readText: ReadText): Promise<string[]> {
  const own = nameServersIn((await readText(HOST_FILE)) ?? '')
  if (own.join() !== ENGINE_STUB) return own
  const behindStub = nameServersIn((await readText(RESOLVED_FILE)) ?? '')
  return behindStub.length > 0 ? behindStub : own
}

/** The `nameserver` lines of a resolv.conf, without doubles and without what is no address. */
export function nameServersIn(text: string): string[] {
  const servers = new Set<string>()
  for (const line of text.split('\n')) {
    const server = /^nameserver[ \t]+([^\s#;]+)/.exec(line)?.[1]
    if (server !== undefined && isIP(server) !== 0) servers.add(server)
  }
  return [...servers]
}

const isLoopback = (server: string): boolean => server.startsWith('127.') || server === '::1'
