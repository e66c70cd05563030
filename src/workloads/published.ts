import { parseAddress } from '../net/address.ts'
import type { Container } from './model.ts'

/** Every address of a family, as halves: a set of networks takes no prefix of length 0. */
const EVERY = { 4: ['0.0.0.0/1', '128.0.0.0/1'], 6: ['::/1', '8000::/1'] } as const

/** The protocols that a set can hold. */
const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp'])

/** Ports of the host that lead to running containers: `address,protocol:port`, with the short id of one such container. */
export const publishedOf = (containers: readonly Container[]): Map<string, string> =>
  new Map(
    containers
      .filter(({ running }) => running)
      .flatMap(({ id, publishedPorts }) =>
        publishedPorts
          .filter(({ protocol }) => PROTOCOLS.has(protocol))
          .flatMap(({ hostIp, hostPort, protocol }) =>
            addressesOf(hostIp).map((where): [string, string] => [
              `${where},${protocol}:${hostPort}`,
              id.slice(0, 12),
            ]),
          ),
      ),
  )

/** Published ports by the containers' own addresses: `address,protocol:port`, with the short id of the container. */
export const servedOf = (containers: readonly Container[]): Map<string, string> =>
  new Map(
    containers
      .filter(({ running }) => running)
      .flatMap(({ id, servedPorts, endpoints }) =>
        servedPorts
          .filter(({ protocol }) => PROTOCOLS.has(protocol))
          .flatMap(({ port, protocol }) =>
            endpoints.flatMap(({ addresses }) =>
              addresses.map((address): [string, string] => [
                `${address},${protocol}:${port}`,
                id.slice(0, 12),
              ]),
            ),
          ),
      ),
  )

function addressesOf(hostIp: string): readonly string[] {
  if (hostIp === '') return [...EVERY[4], ...EVERY[6]]
  if (hostIp === '0.0.0.0') return EVERY[4]
  if (hostIp === '::') return EVERY[6]
  const address = parseAddress(hostIp)
  return address === undefined ? [] : [address]
}
