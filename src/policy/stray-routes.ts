import { cidrContains } from '../net/cidr.ts'
import type { Address } from '../net/types.ts'
import type { Network } from '../workloads/model.ts'
import type { Assignment, ClassMember } from './classes.ts'

/**
 * A container that leaves by a network on which it has fewer rights than on another one: what is allowed to it there it never gets, and its
 * operator looks for the reason. Which network that is the engine decides, by priority and name, and anew with each that is connected.
 */
export interface StrayRoute {
  readonly container: string
  /** Where its default route leads. */
  readonly network: string
  /** Policies that hold for it on other networks alone, with those networks. */
  readonly lost: readonly { readonly policy: string; readonly network: string }[]
}

/** Who could have such a route: runs on several networks, with other rights on one than on another. Only their routes need to be read. */
export function withSeveralRights({ members }: Assignment): Map<string, number> {
  const classes = new Map<string, Set<number | undefined>>()
  const pids = new Map<string, number>()
  for (const { container, class: id } of members) {
    if (container.pid === undefined) continue
    classes.set(container.id, (classes.get(container.id) ?? new Set()).add(id))
    pids.set(container.id, container.pid)
  }
  return new Map([...pids].filter(([id]) => (classes.get(id)?.size ?? 0) > 1))
}

/** @param gateways of the default routes, by the container's id */
export function findStrayRoutes(
  { members, classes }: Assignment,
  networks: readonly Network[],
  gateways: ReadonlyMap<string, readonly Address[]>,
): StrayRoute[] {
  const policiesOf = ({ class: id }: ClassMember): readonly string[] =>
    classes.find((one) => one.id === id)?.policies ?? []
  return [...gateways].flatMap(([id, addresses]) => {
    const own = members.filter(({ container }) => container.id === id)
    const leaving = own.filter((member) => addresses.some((gateway) => isOn(member, gateway, networks)))
    const there = new Map(leaving.map((member) => [member.network, member]))
    return [...there.values()].flatMap((member): StrayRoute[] => {
      const has = new Set(policiesOf(member))
      const lost = own.flatMap((other) =>
        policiesOf(other)
          .filter((policy) => !has.has(policy))
          .map((policy) => ({ policy, network: other.network })),
      )
      return lost.length === 0 ? [] : [{ container: member.container.name, network: member.network, lost }]
    })
  })
}

const isOn = ({ networkId }: ClassMember, gateway: Address, networks: readonly Network[]): boolean =>
  networks.some(
    ({ id, subnets }) => id === networkId && subnets.some((subnet) => cidrContains(subnet, gateway)),
  )
