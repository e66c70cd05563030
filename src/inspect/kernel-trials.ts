import type { HostView } from '../host/host-view.ts'
import { cidrContains } from '../net/cidr.ts'
import { FAMILIES, familyOf, type Address } from '../net/types.ts'
import type { ProofPlace, ProofTrial } from '../proof/model.ts'
import { allowedTarget, forbiddenTarget, nobodysTarget, type Judge } from '../proof/targets.ts'
import type { Inventory } from '../workloads/model.ts'
import { judge, type KernelView } from './judge.ts'
import type { RememberedSets } from './remembered-sets.ts'
import { readChains } from './ruleset.ts'

/** What a trial is chosen by. */
export interface TrialSetting {
  readonly inventory: Inventory
  readonly host: HostView
  readonly kernel: KernelView
  readonly sets: RememberedSets
}

/** What is to be tried on a network, by what the kernel holds now. */
export async function trialOf(
  setting: TrialSetting,
  place: ProofPlace,
  source: Address,
): Promise<ProofTrial> {
  const { inventory, host, kernel, sets } = setting
  const family = familyOf(source)
  const verdictOf = judgeFrom(setting, place)
  const forbidden = (await forbiddenTarget(family, verdictOf)) ?? nobodysTarget(family)
  const allowed = await allowedTarget(
    family,
    {
      chains: readChains(kernel.rules[family]),
      elementsOf: sets.elementsOf,
      leaves: (address) =>
        !host.isHostAddress(address) &&
        !inventory.networks.some(({ subnets }) => subnets.some((subnet) => cidrContains(subnet, address))),
    },
    verdictOf,
  )
  return { place, family, source, forbidden, allowed }
}

function judgeFrom({ inventory, host, kernel, sets }: TrialSetting, place: ProofPlace): Judge {
  const found = inventory.networks.find(({ bridge }) => bridge === place.bridge)
  if (!found) throw new Error(`the network ${place.network} is gone`)
  const network = { ...found, ipv6: place.sources.some((source) => familyOf(source) === 6) }
  // No container has the address that a proof sends from. So it is in no set, and all networks ask the sets the same questions.
  const way = { network, bridge: place.bridge, addresses: undefined, routes: FAMILIES }
  return (target) =>
    judge(
      {
        source: { kind: 'bridge', name: network.name, ways: [way] },
        ...target,
        kernel,
        networks: inventory.networks,
        isHostAddress: host.isHostAddress,
      },
      sets,
    )
}
