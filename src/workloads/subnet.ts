import ipaddr from 'ipaddr.js'
import { parseCidr } from '../net/cidr.ts'
import type { Cidr } from '../net/types.ts'

/** A subnet as Docker has it: older engines keep the host bits that an operator typed, so they are cut off here. */
export const parseSubnet = (text: string): Cidr | undefined => {
  if (!ipaddr.isValidCIDR(text)) return undefined
  const [address, length] = ipaddr.parseCIDR(text)
  const network =
    address.kind() === 'ipv6'
      ? ipaddr.IPv6.networkAddressFromCIDR(text).toRFC5952String()
      : ipaddr.IPv4.networkAddressFromCIDR(text).toString()
  const parsed = parseCidr(`${network}/${length}`)
  return 'cidr' in parsed ? parsed.cidr : undefined
}
