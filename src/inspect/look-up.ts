import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/model.ts'
import type { CallDaemon } from '../control/client.ts'
import { parseHostname } from '../net/hostname.ts'
import { FAMILIES, type Address } from '../net/types.ts'
import type { LiveAddress } from '../resolve/model.ts'
import { Resolver } from '../resolve/resolver.ts'
import { ownServers } from '../host/own-servers.ts'

const DEFAULT_SOCKET = '/var/run/docker.sock'

/** The engine's socket: as the daemon uses it, as the config says, or where engines usually listen. */
export async function dockerSocketOf(ask: CallDaemon, configFile: string): Promise<string> {
  const daemon = await ask<{ socket: string }>('docker')
  return daemon?.socket ?? (await configOf(configFile))?.docker.socket ?? DEFAULT_SOCKET
}

/** Every address of a name: the live addresses of the daemon, else those that a look-up finds now. Empty: it has none. */
export async function lookUp(name: string, ask: CallDaemon, configFile: string): Promise<readonly Address[]> {
  const parsed = parseHostname(name)
  if (!('hostname' in parsed)) return []
  const live = (await ask<readonly LiveAddress[]>('held', { name: parsed.hostname })) ?? []
  if (live.length > 0) return live.map(({ address }) => address)
  const config = await configOf(configFile)
  const servers = config ? await ownServers(config) : []
  const resolver = new Resolver({ servers, timeoutMs: config?.resolver.timeoutMs ?? 3_000 })
  try {
    const lookups = await Promise.all(FAMILIES.map((family) => resolver.lookup(parsed.hostname, family)))
    return lookups.flatMap((lookup) =>
      lookup.kind === 'addresses' ? lookup.records.map(({ address }) => address) : [],
    )
  } finally {
    resolver.close()
  }
}

async function configOf(file: string): Promise<Config | undefined> {
  return (await loadConfig(file, hostConfigEnv)).config
}
