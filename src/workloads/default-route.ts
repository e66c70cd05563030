import { parseAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'

const NO_ADDRESS = /^0+$/

/** Text of `/proc/<pid>/net/route` → the gateway of the default route, with the least metric where there are several. */
export function defaultGateway4(text: string): Address | undefined {
  const routes = text.split('\n').flatMap((line) => {
    const [, destination = '', gateway = '', , , , metric = '', mask = ''] = line.trim().split(/\s+/)
    const isDefault = NO_ADDRESS.test(destination) && NO_ADDRESS.test(mask) && !NO_ADDRESS.test(gateway)
    const address = isDefault ? parseAddress(fromHostOrder(gateway)) : undefined
    return address === undefined ? [] : [{ address, metric: Number(metric) }]
  })
  return least(routes)
}

/** As above, of `/proc/<pid>/net/ipv6_route`. */
export function defaultGateway6(text: string): Address | undefined {
  const routes = text.split('\n').flatMap((line) => {
    const [destination = '', length = '', , , gateway = '', metric = ''] = line.trim().split(/\s+/)
    const isDefault = NO_ADDRESS.test(destination) && length === '00' && !NO_ADDRESS.test(gateway)
    const address = isDefault ? parseAddress(gateway.match(/.{4}/g)?.join(':') ?? '') : undefined
    return address === undefined ? [] : [{ address, metric: Number.parseInt(metric, 16) }]
  })
  return least(routes)
}

/** The kernel prints an address as a number in the order of the processor, which on all that Docker runs on is the lowest byte first. */
const fromHostOrder = (hex: string): string =>
  (hex.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .toReversed()
    .join('.')

const least = (
  routes: readonly { readonly address: Address; readonly metric: number }[],
): Address | undefined => routes.toSorted((one, other) => one.metric - other.metric)[0]?.address
