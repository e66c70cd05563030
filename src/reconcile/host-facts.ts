import type { Config } from '../config/model.ts'
import type { BuildInput } from '../dataplane/build-input.ts'
import type { DesiredBindings, HostGroups } from '../dataplane/model.ts'
import type { Address } from '../net/types.ts'
import type { Assignment } from '../policy/classes.ts'
import type { InterfacePlan } from '../workloads/guarded.ts'

/** Everything outside the policy that shapes the rules. */
export interface HostFacts {
  readonly plan: InterfacePlan
  /** Bridges that still learn addresses from frames that they do not forward, and must not. */
  readonly learning: readonly string[]
  /** Name servers that containers may ask. */
  readonly resolvers: readonly Address[]
  /** Addresses that the engine gave to containers, with the container's id. */
  readonly containers: ReadonlyMap<Address, string>
  /** `address,protocol:port` of the host, or a network of addresses, with the container to which it leads. */
  readonly published: ReadonlyMap<string, string>
  /** `address,protocol:port` of a container whose port is published, with the container. */
  readonly served: ReadonlyMap<string, string>
  /** The rights of each container; undefined: all have the same. */
  readonly rights: Assignment | undefined
  /** Where containers cannot be bound to their ports: the class of all packets of a bridge. */
  readonly classOfBridge: ReadonlyMap<string, number> | undefined
  readonly bindings: DesiredBindings
  /** Undefined: containers on the host's network are not guarded. */
  readonly hostGroups: HostGroups | undefined
  /** The same under the config before the one on trial; absent: none is on trial, or there was none before it. */
  readonly before?: Pick<HostFacts, 'plan' | 'resolvers'> & Pick<BuildInput, 'rights'>
}

/** Should first packets be held, where the host can do it? Only where rights differ and containers are bound to their ports. */
export const wantsHold = ({ guard }: Config, { rights, classOfBridge }: HostFacts): boolean =>
  guard.holdNewMs > 0 && rights !== undefined && classOfBridge === undefined

/** Containers come and go all the time, and are elements only: no rule changes with them. */
export const makeSameRules = (one: HostFacts, other: HostFacts): boolean =>
  rulesKeyOf(one) === rulesKeyOf(other)

const rulesKeyOf = ({ plan, resolvers, rights, classOfBridge, before }: HostFacts): string =>
  JSON.stringify([
    plan.guarded.map((one) => [one.bridge, one.networkName, one.subnets]),
    plan.open,
    plan.stacked,
    resolvers,
    rights?.unknown,
    rights?.classes,
    classOfBridge && [...classOfBridge],
    before && [
      before.plan.guarded.map((one) => one.bridge),
      before.plan.open,
      before.resolvers,
      before.rights,
    ],
  ])
