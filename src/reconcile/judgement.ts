import type { RevokeInput } from '../dataplane/revoke.ts'
import { metadataOf, wrappedMetadata } from '../net/metadata.ts'
import { neverOf } from '../net/never.ts'
import { FAMILIES, type Address, type Cidr } from '../net/types.ts'
import type { Desired } from './desired.ts'
import { rightsByAddress } from './rights-by-address.ts'

/** What live flows are judged by: the rights that are desired now. */
export function judgementOf(desired: Desired, namesThatHad: RevokeInput['namesThatHad']): RevokeInput {
  const { config, policies, hostFacts, membership } = desired
  const hostAddresses = hostAddressesOf(desired)
  return {
    policies,
    membership,
    // With the gateway, containers reach none of the resolvers themselves.
    resolvers: config.dns.gateway ? [] : hostFacts.resolvers,
    sources: [
      ...hostFacts.plan.guarded.flatMap((one) => one.subnets),
      ...[...hostAddresses].map((address) => address as string as Cidr),
    ],
    namesThatHad,
    rightsOf: rightsByAddress(config, hostFacts.rights, hostAddresses),
    metadata: [
      ...FAMILIES.flatMap((family) => metadataOf(config.metadata, family)),
      ...wrappedMetadata(config.metadata),
    ],
    never: FAMILIES.flatMap((family) => neverOf(config.never, family)),
  }
}

/** The addresses from which containers on the host's network send; none where the host's network is not guarded. */
export const hostAddressesOf = ({ hostFacts }: Desired): ReadonlySet<Address> =>
  new Set(hostFacts.hostGroups?.addresses)
