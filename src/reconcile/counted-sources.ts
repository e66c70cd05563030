import type { CommentedElements } from '../dataplane/membership.ts'
import { deniedSet, DENY_REASONS } from '../dataplane/names.ts'
import { FAMILIES, familyOf, type Cidr, type Family } from '../net/types.ts'
import type { InterfacePlan } from '../workloads/guarded.ts'
import type { HostFacts } from './host-facts.ts'

/** Containers whose denied packets are counted for their policies: elements `address,bridge` of the sets of denials, with the policies. */
export class CountedContainers {
  #present: ReadonlyMap<string, string>
  /** Elements of containers that are gone. Each stays until its counter was read once more. */
  readonly #gone = new Map<string, string>()

  constructor(hostFacts: HostFacts) {
    this.#present = containersIn(hostFacts)
  }

  /** True: some came or went. */
  update(hostFacts: HostFacts): boolean {
    const present = containersIn(hostFacts)
    const isChanged = !sameEntries(present, this.#present)
    for (const [element, policies] of this.#present) this.#gone.set(element, policies)
    for (const element of present.keys()) this.#gone.delete(element)
    this.#present = present
    return isChanged
  }

  /** These sets were read, with what they counted of containers that are gone. True: some of these are no longer needed. */
  wereRead(sets: readonly string[]): boolean {
    const families = FAMILIES.filter((family) => sets.includes(deniedSet('policy', family)))
    const read = [...this.#gone.keys()].filter((element) => families.some((family) => isOf(family, element)))
    for (const element of read) this.#gone.delete(element)
    return read.length > 0
  }

  elements(family: Family): (readonly [string, string])[] {
    return [...this.#gone, ...this.#present].filter(([element]) => isOf(family, element))
  }
}

/** Their elements beside those of their networks: the narrower one counts. */
function containersIn({ plan, rights }: HostFacts): Map<string, string> {
  const bridges = new Map(plan.guarded.map(({ networkId, bridge }) => [networkId, bridge]))
  const words = new Map(rights?.classes.map(({ id, policies }) => [id, policies.join('+') || 'none']))
  return new Map(
    (rights?.members ?? []).flatMap(({ networkId, addresses, class: id }) => {
      const bridge = bridges.get(networkId)
      const policies = id === undefined ? undefined : words.get(id)
      return bridge === undefined || policies === undefined
        ? []
        : addresses.map((address): [string, string] => [`${address},${bridge}`, policies])
    }),
  )
}

/**
 * A set refuses the 65th interface of one address range. Elements are added before old ones are deleted, so when every network is replaced at
 * once, twice as many are there: the limit is half of that.
 */
const MOST_OF_ANY_SOURCE = 32

/**
 * One element for each guarded subnet in each set of denials: its counter is the network's. A forged source may be in any subnet, so in that set
 * the interface alone identifies the network, for as many networks as the kernel takes.
 */
export function countedNetworks(plan: InterfacePlan): Map<string, CommentedElements> {
  const sets = new Map<string, CommentedElements>()
  for (const family of FAMILIES) {
    const elements = new Map(
      plan.guarded.flatMap(({ bridge, networkName, subnets }) =>
        subnets
          .filter((subnet: Cidr) => familyOf(subnet) === family)
          .map((subnet: Cidr): [string, string] => [`${subnet},${bridge}`, networkName ?? bridge]),
      ),
    )
    const anySource = new Map(
      plan.guarded
        .filter(({ subnets }) => subnets.length > 0)
        .slice(0, MOST_OF_ANY_SOURCE)
        .map(({ bridge, networkName }) => [`${ANYWHERE[family]},${bridge}`, networkName ?? bridge]),
    )
    for (const reason of DENY_REASONS)
      sets.set(deniedSet(reason, family), reason === 'forged' ? anySource : elements)
  }
  return sets
}

/** Is the element of this family? */
export const isOf = (family: Family, element: string): boolean => element.includes(':') === (family === 6)

const ANYWHERE = { 4: '0.0.0.0/0', 6: '::/0' } as const

export const sameEntries = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean =>
  one.size === other.size && [...one].every(([key, value]) => other.get(key) === value)
