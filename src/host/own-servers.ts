import type { Config } from '../config/model.ts'
import type { NameServer } from '../dns/name-server.ts'
import { parseAddress } from '../net/address.ts'
import { hostNameServers } from '../resolve/host-servers.ts'
import * as files from './outside-files.ts'

/** The servers that our own look-ups go to: those of the config, else the host's. Rejects when the host's file cannot be read. */
export async function ownServers(config: Config): Promise<readonly NameServer[]> {
  if (config.resolver.servers.length > 0) return config.resolver.servers
  const servers = await hostNameServers(files.readHostResolvConf)
  return servers
    .filter((server) => parseAddress(server) !== undefined)
    .map((host) => ({ kind: 'plain', host, port: 53 }))
}
