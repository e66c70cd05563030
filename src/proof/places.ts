import { bytesOf, formatAddress } from '../net/address.ts'
import { cidrContains } from '../net/cidr.ts'
import { FAMILIES, familyOf, type Address, type Cidr, type Family } from '../net/types.ts'
import type { HostInterface } from '../system/host.ts'
import { isGeneratedBridgeName } from '../workloads/bridge-name.ts'
import type { GuardedInterface } from '../workloads/guarded.ts'
import type { Container } from '../workloads/model.ts'
import type { ProofPlace, PlaceKind } from './model.ts'

export interface PlacesInput {
  readonly guarded: readonly GuardedInterface[]
  readonly interfaces: readonly HostInterface[]
  readonly containers: readonly Container[]
}

/** What of a guarded network no proof can be made on, and why. */
export interface Untried {
  /** As the engine names it, or the bridge where it names none: hostile text. */
  readonly network: string
  /** Undefined: in no family. */
  readonly family: Family | undefined
  readonly why: string
}

export interface Survey {
  /** Guarded networks whose bridge stands, leads out and has an address to spare. */
  readonly places: readonly ProofPlace[]
  readonly untried: readonly Untried[]
}

export const placesOf = (input: PlacesInput): readonly ProofPlace[] => surveyPlaces(input).places

/** Every guarded network in each family is either a place to make a proof on, or untried for a reason. */
export function surveyPlaces({ guarded, interfaces, containers }: PlacesInput): Survey {
  const taken = new Set<Address>([
    ...interfaces.flatMap(({ addresses }) => addresses),
    ...containers.flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses)),
  ])
  const places: ProofPlace[] = []
  const untried: Untried[] = []
  for (const { bridge, networkName, internal, subnets } of guarded) {
    const network = networkName ?? bridge
    const skip = (why: string, family?: Family) => untried.push({ network, family, why })
    const standing = interfaces.find(({ name, isBridge }) => name === bridge && isBridge)
    if (!standing) {
      // Bridges of the engine's own naming are guarded before there is one, and then nothing is on it.
      if (networkName !== undefined) skip(`its bridge ${bridge} does not stand`)
      continue
    }
    if (networkName === undefined) {
      skip('the engine knows no network of this bridge')
      continue
    }
    if (internal) {
      skip('it is internal: nothing is routed out of it')
      continue
    }
    const sources = FAMILIES.flatMap((family) => {
      const subnet = subnets.find(
        (one) => familyOf(one) === family && standing.addresses.some((address) => cidrContains(one, address)),
      )
      const source = subnet && freeAddress(subnet, taken)
      if (!subnet) skip(`its bridge has no IPv${family} address`, family)
      else if (source === undefined) skip(`no IPv${family} address is free there to send from`, family)
      return source ?? []
    })
    if (sources.length === 0) continue
    const gateways = standing.addresses.filter((one) => subnets.some((subnet) => cidrContains(subnet, one)))
    places.push({ network, bridge, kind: kindOf(bridge), sources, gateways })
  }
  return { places, untried }
}

const kindOf = (bridge: string): PlaceKind =>
  bridge === 'docker0' ? 'default' : isGeneratedBridgeName(bridge) ? 'generated' : 'named'

/** What is known of a network from before. */
export interface LastProof {
  readonly atMs: number
  readonly passed: boolean
}

/** So many networks that failed are tried again at once, beside one of each kind. */
const MOST_AGAIN = 8

/** For each kind of network and each family one that has it, the one that was not tried for longest, and those that failed the last time. */
export function choosePlaces(
  places: readonly ProofPlace[],
  last: ReadonlyMap<string, LastProof> = new Map(),
): ProofPlace[] {
  const oldestFirst = places.toSorted(
    (one, other) => (last.get(one.network)?.atMs ?? 0) - (last.get(other.network)?.atMs ?? 0),
  )
  const chosen = new Map<string, ProofPlace>()
  for (const place of oldestFirst) {
    for (const family of FAMILIES.filter((one) => place.sources.some((source) => familyOf(source) === one))) {
      const key = `${place.kind} ${family}`
      if (!chosen.has(key)) chosen.set(key, place)
    }
  }
  const again = oldestFirst.filter(({ network }) => last.get(network)?.passed === false).slice(0, MOST_AGAIN)
  return [...new Set([...chosen.values(), ...again])]
}

/** As many as are asked for: first one of each kind of network and each family, then the others in their order. */
export const placesUpTo = (places: readonly ProofPlace[], most: number): readonly ProofPlace[] =>
  [...new Set([...choosePlaces(places), ...places])].slice(0, most)

/** The highest address of a subnet that nobody has: engines hand out the lowest first. Undefined: there is none. */
export function freeAddress(subnet: Cidr, taken: ReadonlySet<Address>): Address | undefined {
  const [base = '', length] = subnet.split('/')
  const bits = familyOf(subnet) === 4 ? 32 : 128
  const prefix = Number(length ?? bits)
  if (bits - prefix < 2) return undefined
  const bytes = bytesOf(base as Address)
  const highest = bytes.map(
    (byte, index) => byte | (0xff & (2 ** Math.min(8, Math.max(0, (index + 1) * 8 - prefix)) - 1)),
  )
  // The very last of IPv4 is the broadcast address.
  for (let below = 1; below < 250; below++) {
    const candidate = [...highest]
    candidate[candidate.length - 1] = (candidate.at(-1) ?? 0) - below
    if ((candidate.at(-1) ?? 0) <= (bytes.at(-1) ?? 0)) return undefined
    const address = formatAddress(candidate)
    if (!taken.has(address)) return address
  }
  return undefined
}
