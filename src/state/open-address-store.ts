import type { Config } from '../config/model.ts'
import { parseAddress } from '../net/address.ts'
import { classify } from '../net/ranges.ts'
import type { Policies } from '../policy/model.ts'
import { AddressStore } from '../resolve/address-store.ts'
import type { AddressLimits } from '../resolve/model.ts'

/** An address store with the names and patterns of these policies, and no address yet. */
export function openAddressStore(config: Config, policies: Policies): AddressStore {
  const addressStore = new AddressStore({ limits: limitsOf(config), classify, parseAddress })
  addressStore.configure(new Map([...policies.names, ...policies.patterns]))
  return addressStore
}

export const limitsOf = ({ resolver, dns }: Config): AddressLimits => ({
  refreshMaxMs: resolver.refresh.maxMs,
  promiseMaxMs: dns.gateway ? dns.maxTtlMs : 0,
  retainMs: resolver.retainMs,
  maxAddressesPerName: resolver.maxAddressesPerName,
})
