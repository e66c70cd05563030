import type { Unprotected } from '../model.ts'
import { unprotectedContainers } from './containers.ts'
import type { UnprotectedInput } from './input.ts'
import { unprotectedBridges, unprotectedNetworks } from './networks.ts'
import { unprotectedHost } from './whole-host.ts'

/** Everything on this host that is not guarded: what applies to the whole host first, then by reason and subject. */
export const findUnprotected = (facts: UnprotectedInput): Unprotected[] => [
  ...unprotectedHost(facts),
  ...unprotectedBridges(facts),
  ...unprotectedNetworks(facts),
  ...unprotectedContainers(facts),
]
