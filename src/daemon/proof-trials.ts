import { CHAIN } from '../dataplane/names.ts'
import { trace, type TraceRule } from '../dataplane/trace.ts'
import type { HostView } from '../host/host-view.ts'
import { cidrContains } from '../net/cidr.ts'
import { familyOf, type Address, type Family } from '../net/types.ts'
import type { ProofPlace, ProofTrial } from '../proof/model.ts'
import { allowedTarget, forbiddenTarget, type Judge } from '../proof/targets.ts'
import { choosePlaces, placesOf } from '../proof/places.ts'
import type { World } from './compose.ts'
import type { Desired } from '../reconcile/desired.ts'

/** What a proof tries now; undefined while the engine is away, since its networks may change unseen. */
export async function trialsNow({
  desired,
  host,
  telemetry,
}: Pick<World, 'desired' | 'host' | 'telemetry'>): Promise<readonly ProofTrial[] | undefined> {
  const { interfaces, inventory } = host
  if (!inventory || !telemetry.dockerConnected) return undefined
  const { guarded } = desired.hostFacts.plan
  const places = placesOf({ guarded, interfaces, containers: inventory.containers })
  return desiredTrials(desired, host, choosePlaces(places, telemetry.proofs.last))
}

/** What a proof tries on these networks. It follows from the desired rules, not from those in the kernel, so nothing is read. */
export async function desiredTrials(
  desired: Desired,
  host: Pick<HostView, 'isHostAddress' | 'inventory'>,
  places: readonly ProofPlace[],
): Promise<ProofTrial[]> {
  const networks = host.inventory?.networks ?? []
  const leaves = (address: Address): boolean =>
    !host.isHostAddress(address) &&
    !networks.some(({ subnets }) => subnets.some((subnet) => cidrContains(subnet, address)))
  const trials: ProofTrial[] = []
  for (const place of places) {
    for (const source of place.sources) {
      const family = familyOf(source)
      const chains = chainsOf(desired, family)
      const judge = judgeBy(desired, chains, place)
      const elementsOf = (set: string): Iterable<string> => desired.membership.elementsOf(set)
      trials.push({
        place,
        family,
        source,
        forbidden: await forbiddenTarget(family, judge),
        allowed: await allowedTarget(family, { chains, elementsOf, leaves }, judge),
      })
    }
  }
  return trials
}

type Chains = ReadonlyMap<string, readonly TraceRule[]>

const chainsOf = (desired: Desired, family: Family): Chains =>
  new Map(
    desired
      .dataplane()
      .rules[family].chains.filter(({ table }) => table === 'filter')
      .map(({ name, rules }) => [
        name,
        rules.map(({ matches, target, words }): TraceRule => ({ matches, target, words, unknown: [] })),
      ]),
  )

const judgeBy =
  ({ membership }: Desired, chains: Chains, { bridge }: ProofPlace): Judge =>
  (target) => {
    const { destination } = target
    const { verdict, approved, provisos } = trace(
      CHAIN.forward,
      { inInterface: bridge, ...target },
      {
        chains,
        // The source belongs to no container, so it is in no set.
        inSet: (set, fields) => fields === 'dst' && membership.covers(set, destination),
      },
    )
    return { allowed: verdict === 'returned' && approved, provisos }
  }
