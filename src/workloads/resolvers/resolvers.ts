import { parseAddress } from '../../net/address.ts'
import type { Address } from '../../net/types.ts'
import { networksAskedByEngine } from './asked-by-engine.ts'
import { dnsOfDaemonJson } from '../engine-config/daemon-json.ts'
import type { DockerdProcess } from '../engine-config/dockerd-process.ts'
import { configFileOf, DAEMON_JSON } from '../engine-config/dockerd-process.ts'
import { engineResolvConf, type EngineResolvConf } from './engine-resolv-conf.ts'
import type { Container, Inventory } from '../model.ts'
import { errorMessage } from '../../system/errors.ts'

/** The resolvers that containers may ask, each with the source that named it first. */
export interface ContainerResolvers {
  readonly resolvers: readonly ResolverInUse[]
  /** Names of networks for whose containers the engine asks, from the host's own network. No rule for containers sees such a question. */
  readonly askedByEngine: readonly string[]
  /** What could not be read or trusted, in sentences. The servers of the other sources still count. */
  readonly problems: readonly string[]
}

export interface ResolverInUse {
  readonly server: Address
  readonly origin: ResolverOrigin
}

/** `dns.servers`: our own config. */
export type ResolverOrigin =
  'dns.servers' | 'host' | 'daemon.json' | 'dockerd --dns' | "engine's resolv.conf" | "engine's default"

export interface ResolverSources {
  /** The host's own servers; loopback ones only when it has no others. */
  readonly hostNameServers: () => Promise<readonly string[]>
  /** The host's servers as the engine reads them, loopback ones too. */
  readonly engineNameServers: () => Promise<readonly string[]>
  /** Undefined while the engine has not answered. */
  readonly engineVersion: string | undefined
  /** The text of the engine's config file; undefined when there is none. Rejects when it cannot be read, or root alone cannot have written it. */
  readonly readConfig: (path: string) => Promise<string | undefined>
  /** As {@link readConfig}, of a file that the engine wrote for a container. */
  readonly readWritten: (path: string) => Promise<string | undefined>
  /** The engine behind the socket, or all that may be it: `findEngines`. */
  readonly dockerds: () => Promise<readonly DockerdProcess[]>
  /** What each source said last. It counts when the source cannot be read. */
  readonly known: KnownSources
  /** What was read for containers before. The engine writes a file once, and a host may have thousands of containers. */
  readonly written: WeakMap<Container, EngineResolvConf>
}

export interface KnownSources {
  host?: readonly string[]
  dockerds?: readonly DockerdProcess[]
  /** By the path of an engine's config file. */
  readonly files: Map<string, readonly string[]>
}

/** What the engine gives to containers when the host names no server that they could reach. */
const ENGINE_DEFAULT = { 4: ['8.8.8.8', '8.8.4.4'], 6: ['2001:4860:4860::8888', '2001:4860:4860::8844'] }

/**
 * The servers that the engine gives to containers without a `--dns` of their own. Never rejects: a source that cannot be read is reported as a
 * problem, and what it said last counts. Loopback servers are left out: a container cannot reach them, so the engine asks them on its behalf.
 */
export const containerResolvers = async (
  inventory: Inventory | undefined,
  sources: ResolverSources,
): Promise<ContainerResolvers> => {
  const found = new Map<Address, ResolverOrigin>()
  const problems: string[] = []
  const attempt = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read()
    } catch (error) {
      problems.push(`${what}: ${errorMessage(error)}`)
      return undefined
    }
  }
  /** Returns how many of the servers containers can use. */
  const add = (servers: readonly string[], origin: ResolverOrigin): number => {
    const usable = servers
      .flatMap((text) => parseAddress(text.trim()) ?? [])
      .filter((one) => !isLoopback(one))
    for (const server of usable) if (!found.has(server)) found.set(server, origin)
    return usable.length
  }

  const { known } = sources
  // When a source cannot be read, what it said last counts: the engine gave it to containers, which still ask it.
  const host = (await attempt("reading the host's name servers", sources.hostNameServers)) ?? known.host
  if (host) known.host = host
  const hostUsable = add(host ?? [], 'host')

  const ours = (await attempt('looking for dockerd', sources.dockerds)) ?? known.dockerds ?? []
  known.dockerds = ours
  const configFiles = new Set(ours.map(configFileOf))
  if (configFiles.size === 0) configFiles.add(DAEMON_JSON)
  let chosen = 0
  let isTold = false
  const choose = (named: readonly string[], origin: ResolverOrigin): void => {
    chosen += add(named, origin)
    isTold ||= named.length > 0
  }
  for (const dockerd of ours) choose(dockerd.dns, 'dockerd --dns')
  for (const path of configFiles) {
    const read = await attempt(`reading ${path}`, async () => dnsOfDaemonJson(await sources.readConfig(path)))
    const servers = read ?? known.files.get(path) ?? []
    known.files.set(path, servers)
    choose(servers, 'daemon.json')
  }

  for (const container of inventory?.containers ?? []) {
    if (!container.running || container.dns.length > 0 || container.resolvConfPath === undefined) continue
    const path = container.resolvConfPath
    const written =
      sources.written.get(container) ??
      (await attempt('reading what the engine wrote for a container', () =>
        engineResolvConf(path, sources.readWritten),
      ))
    if (!written) continue
    sources.written.set(container, written)
    add(written.servers, "engine's resolv.conf")
  }
  const askedByEngine = networksAskedByEngine(inventory, {
    engineVersion: sources.engineVersion,
    isTold,
    hostServers: (await attempt("reading the host's name servers", sources.engineNameServers)) ?? [],
    written: (container) => sources.written.get(container)?.askedFrom,
  })

  // Only when the host's file was read and names no usable server. A file that cannot be read is no reason to open two more servers.
  if (host !== undefined && hostUsable === 0 && chosen === 0) {
    add(ENGINE_DEFAULT[4], "engine's default")
    if (inventory?.networks.some((network) => network.ipv6)) add(ENGINE_DEFAULT[6], "engine's default")
  }
  return {
    resolvers: [...found].map(([server, origin]) => ({ server, origin })),
    askedByEngine,
    problems: [...new Set(problems)],
  }
}

export const serversOf = (resolvers: readonly ResolverInUse[]): Address[] =>
  resolvers.map(({ server }) => server)

const isLoopback = (address: Address): boolean => address.startsWith('127.') || address === '::1'
