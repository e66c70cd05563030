import { parseAddress } from '../../net/address.ts'
import type { Address, Cidr } from '../../net/types.ts'
import { cidrContains } from '../../net/cidr.ts'
import type { Inventory } from '../model.ts'

/** A container with name servers of its own that the rules deny. It cannot resolve names, so `status` names it. */
export interface StrayDns {
  readonly container: string
  readonly servers: readonly string[]
}

/** Running containers in guarded subnets with a server of their own that containers may not ask. */
export function findStrayDns(
  inventory: Inventory | undefined,
  guarded: readonly Cidr[],
  resolvers: readonly Address[],
): StrayDns[] {
  const isGuarded = (address: Address): boolean => guarded.some((subnet) => cidrContains(subnet, address))
  return (inventory?.containers ?? []).flatMap(({ name, running, dns, endpoints }) => {
    if (!running || !endpoints.some(({ addresses }) => addresses.some(isGuarded))) return []
    const denied = dns.filter((server) => {
      const address = parseAddress(server)
      return address === undefined || !resolvers.includes(address)
    })
    return denied.length > 0 ? [{ container: name, servers: denied }] : []
  })
}
