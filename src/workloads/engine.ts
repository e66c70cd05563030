import { objectOf, textOf, textsOf } from './json.ts'
import type { Engine } from './model.ts'

/** `GET /info` and `GET /version` → the facts that decide what can be guarded. Never throws; what is missing is `unknown` or false. */
export const parseEngine = (json: { readonly info: unknown; readonly version: unknown }): Engine => {
  const info = objectOf(json.info)
  const version = objectOf(json.version)
  return {
    version: textOf(version['Version']) || textOf(info['ServerVersion']) || 'unknown',
    firewallBackend: textOf(objectOf(info['FirewallBackend'])['Driver']) || undefined,
    // `name=rootless`, in some engines with more after a comma.
    rootless: textsOf(info['SecurityOptions']).some((option) => option.split(',').includes('name=rootless')),
  }
}

/** Does the engine keep its rules in iptables, where DOCKER-USER is? `iptables+firewalld` does, `nftables` does not. */
export const usesIptables = (engine: Engine): boolean =>
  engine.firewallBackend === undefined || engine.firewallBackend.split('+')[0] === 'iptables'

/** Engines from 29 on can keep their rules in nftables. Every packet still crosses FORWARD of iptables, so our jump there still works. */
export const usesNftables = (engine: Engine): boolean => engine.firewallBackend?.split('+')[0] === 'nftables'
