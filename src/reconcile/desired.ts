import type { Config } from '../config/model.ts'
import { buildDataplane } from '../dataplane/build.ts'
import type { BuildInput } from '../dataplane/build-input.ts'
import { Membership, type CommentedElements } from '../dataplane/membership.ts'
import type { Dataplane, DesiredBindings, HostGroups } from '../dataplane/model.ts'
import { containersSet, deniedSet, DENY_REASONS, publishedSet, servedSet } from '../dataplane/names.ts'
import { maxelemFor } from '../dataplane/set-size.ts'
import { besideBefore } from '../dataplane/trial.ts'
import { FAMILIES, familyOf, type Address, type Cidr, type Family, type Hostname } from '../net/types.ts'
import type { Assignment } from '../policy/classes.ts'
import type { Policies } from '../policy/model.ts'
import { onlyBefore } from '../policy/trial.ts'
import type { LiveAddress } from '../resolve/model.ts'
import type { DesiredState } from '../targets/keeper.ts'
import type { InterfacePlan } from '../workloads/guarded.ts'

/** What holds again when the config on trial is not confirmed. */
export interface BeforeTrial {
  readonly config: Config
  readonly policies: Policies
}

/** Everything outside the policy that shapes the rules. */
export interface HostFacts {
  readonly plan: InterfacePlan
  /** Bridges that are to learn nobody's place from frames that they do not forward. */
  readonly learning: readonly string[]
  /** Whom containers may ask. */
  readonly resolvers: readonly Address[]
  /** Addresses that the engine gave to containers, with the container's id. */
  readonly containers: ReadonlyMap<Address, string>
  /** `address,protocol:port` of the host, or a network of addresses, with the container to which it leads. */
  readonly published: ReadonlyMap<string, string>
  /** `address,protocol:port` of a container whose port is published, with the container. */
  readonly served: ReadonlyMap<string, string>
  /** Who has which rights; undefined: all have the same. */
  readonly rights: Assignment | undefined
  /** Where containers cannot be held to their ports: the class that all of a bridge have. */
  readonly classOfBridge: ReadonlyMap<string, number> | undefined
  readonly bindings: DesiredBindings
  /** Undefined: who is on the host's network is not held there. */
  readonly hostGroups: HostGroups | undefined
  /** The same under the config before the one on trial; absent: none is on trial, or there was none before it. */
  readonly before?: Pick<HostFacts, 'plan' | 'resolvers'> & Pick<BuildInput, 'rights'>
}

/**
 * What the kernel ought to hold, kept between passes: the dataplane is built anew only when its inputs changed,
 * so that the same object twice means that every difference found is drift.
 */
export class Desired {
  readonly membership = new Membership()
  #dataplane: Dataplane | undefined
  #config: Config
  #policies: Policies
  #before: BeforeTrial | undefined
  #hostFacts: HostFacts
  #generation: number
  #holds = false
  /** What is counted by container, with its policies. */
  #counted = new Map<string, string>()
  /** The same of containers that are gone: it stays until it was read once more. */
  #uncounted = new Map<string, string>()
  readonly #liveAddresses: (name: Hostname) => readonly LiveAddress[]

  constructor(options: {
    readonly config: Config
    readonly policies: Policies
    readonly hostFacts: HostFacts
    readonly generation: number
    readonly liveAddresses: (name: Hostname) => readonly LiveAddress[]
  }) {
    this.#config = options.config
    this.#policies = options.policies
    this.#hostFacts = options.hostFacts
    this.#generation = options.generation
    this.#liveAddresses = options.liveAddresses
    this.#counted = countedContainers(options.hostFacts)
    this.#rebuildMembership()
  }

  get policies(): Policies {
    return this.#policies
  }

  get config(): Config {
    return this.#config
  }

  get hostFacts(): HostFacts {
    return this.#hostFacts
  }

  get generation(): number {
    return this.#generation
  }

  /** Undefined: nothing is on trial. */
  get before(): BeforeTrial | undefined {
    return this.#before
  }

  setPolicy(config: Config, policies: Policies, before?: BeforeTrial): void {
    this.#config = config
    this.#policies = policies
    this.#before = before
    this.#dataplane = undefined
    this.#rebuildMembership()
  }

  /** Nothing is rebuilt when the host facts are what they were. */
  setHostFacts(hostFacts: HostFacts): void {
    const before = this.#hostFacts
    this.#hostFacts = hostFacts
    // Containers come and go all the time, and are elements only: no rule changes with them.
    const sameRules = shapeOf(hostFacts) === shapeOf(before)
    if (!sameRules) this.#dataplane = undefined
    const counted = countedContainers(hostFacts)
    const sameCounted = sameEntries(counted, this.#counted)
    for (const [element, policies] of this.#counted) this.#uncounted.set(element, policies)
    for (const element of counted.keys()) this.#uncounted.delete(element)
    this.#counted = counted
    if (
      !sameRules ||
      !sameCounted ||
      !sameEntries(hostFacts.containers, before.containers) ||
      !sameEntries(hostFacts.published, before.published) ||
      !sameEntries(hostFacts.served, before.served)
    )
      this.membership.setStatics(this.#statics())
  }

  /** These sets were read: what they counted of containers that are gone is known. */
  counted(sets: readonly string[]): void {
    const families = FAMILIES.filter((family) => sets.includes(deniedSet('policy', family)))
    const read = [...this.#uncounted.keys()].filter((element) =>
      families.some((family) => isOf(family, element)),
    )
    for (const element of read) this.#uncounted.delete(element)
    if (read.length > 0) this.membership.setStatics(this.#statics())
  }

  setGeneration(generation: number): void {
    if (generation === this.#generation) return
    this.#generation = generation
    this.#dataplane = undefined
  }

  /** Are packets of ports without rights led to the daemon? */
  setStartHold(holds: boolean): void {
    if (holds === this.#holds) return
    this.#holds = holds
    this.#dataplane = undefined
  }

  refreshNames(names: readonly Hostname[]): void {
    for (const name of names) this.membership.refresh(name, this.#liveAddresses(name))
  }

  /**
   * All that the kernel has to hold.
   * @param former generations that live connections may still bear while the generation changes
   */
  stateFor(former: DesiredState['former'] = []): DesiredState {
    const dataplane = this.dataplane()
    const { bindings, learning, hostGroups } = this.#hostFacts
    return {
      dataplane,
      membership: this.membership,
      backstop: dataplane.backstop,
      former,
      bindings,
      hostGroups: hostGroups && hostGroups.problem === undefined ? (hostGroups.groups ?? 'kept') : undefined,
      learning,
      marks: dataplane.backstop.marks,
    }
  }

  /** The same object as long as nothing changed. */
  dataplane(): Dataplane {
    if (this.#dataplane && this.#outgrown(this.#dataplane)) this.#dataplane = undefined
    this.#dataplane ??= this.#build()
    return this.#dataplane
  }

  #build(): Dataplane {
    const { before: around, ...hostFacts } = this.#hostFacts
    const built = this.#buildOf(this, hostFacts)
    if (!this.#before || !around) return built
    // Packets bear what the config on trial says, in its bits.
    const { mark, marks } = this.#config.guard
    const config = { ...this.#before.config, guard: { ...this.#before.config.guard, mark, marks } }
    return besideBefore(built, this.#buildOf({ ...this.#before, config }, { ...hostFacts, ...around }))
  }

  #buildOf(
    { config, policies }: BeforeTrial,
    {
      plan,
      rights,
      classOfBridge,
      resolvers,
    }: Pick<HostFacts, 'plan' | 'classOfBridge' | 'resolvers'> & Pick<BuildInput, 'rights'>,
  ): Dataplane {
    return buildDataplane({
      config,
      policies,
      interfaces: {
        guarded: plan.guarded.map((one) => one.bridge),
        stacked: plan.stacked,
        open: plan.open.map((one) => ({ ...one, isDocker: one.why === 'excepted network' })),
      },
      rights,
      classOfBridge,
      holds: this.#holds,
      resolvers,
      generation: this.#generation,
      setSizes: { get: (set: string) => this.membership.sizeOf(set) },
    })
  }

  #outgrown(dataplane: Dataplane): boolean {
    return dataplane.sets.some((set) => maxelemFor(this.membership.sizeOf(set.name)) > set.maxelem)
  }

  #rebuildMembership(): void {
    const before = this.#before ? onlyBefore(this.#before.policies, this.#policies) : []
    const policies = { ...this.#policies, policies: [...this.#policies.policies, ...before] }
    this.membership.rebuild(policies, this.#statics(), this.#liveAddresses)
  }

  #statics(): Map<string, CommentedElements> {
    const { plan, containers, published, served } = this.#hostFacts
    const sets = countedNetworks(plan)
    // Containers of overlay networks go out by a second interface there, whose address the engine's list of containers lacks.
    const gateways = plan.guarded
      .filter(({ bridge }) => bridge === 'docker_gwbridge')
      .flatMap(({ bridge, subnets }) => subnets.map((subnet): [string, string] => [subnet, bridge]))
    const known = [...containers, ...gateways]
    for (const family of FAMILIES) {
      const own = ([element]: readonly [string, string]): boolean => isOf(family, element.split(',')[0] ?? '')
      const denied = deniedSet('policy', family)
      const byContainer = [...this.#uncounted, ...this.#counted].filter(own)
      sets.set(denied, new Map([...(sets.get(denied) ?? []), ...byContainer]))
      sets.set(containersSet(family), new Map(known.filter(own)))
      sets.set(publishedSet(family), new Map([...published].filter(own)))
      sets.set(servedSet(family), new Map([...served].filter(own)))
    }
    return sets
  }
}

/** Are first packets held, where it can be done? Only where rights differ, and ports are told apart. */
export const wantsHold = ({ guard }: Config, { rights, classOfBridge }: HostFacts): boolean =>
  guard.holdNewMs > 0 && rights !== undefined && classOfBridge === undefined

/** Elements of containers beside those of their networks, so that what they are denied counts for their policies: the narrower one counts. */
function countedContainers({ plan, rights }: HostFacts): Map<string, string> {
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
 * A set refuses the 65th interface of one address range. Half of that, since elements are added before those that go are deleted:
 * if every network is replaced at once, both halves are there.
 */
const MOST_OF_ANY_SOURCE = 32

/**
 * One element a guarded subnet in each set of denials: its counter is the network's. A forged source is in any subnet but its own
 * network's, so there the interface alone tells, for as many networks as the kernel lets it.
 */
function countedNetworks(plan: InterfacePlan): Map<string, CommentedElements> {
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

const isOf = (family: Family, element: string): boolean => element.includes(':') === (family === 6)

const ANYWHERE = { 4: '0.0.0.0/0', 6: '::/0' } as const

const sameEntries = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean =>
  one.size === other.size && [...one].every(([key, value]) => other.get(key) === value)

const shapeOf = ({ plan, resolvers, rights, classOfBridge, before }: HostFacts): string =>
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
