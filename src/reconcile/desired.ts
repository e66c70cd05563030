import type { Config } from '../config/model.ts'
import { buildDataplane } from '../dataplane/build.ts'
import type { BuildInput } from '../dataplane/build-input.ts'
import { Membership, type CommentedElements } from '../dataplane/membership.ts'
import type { Dataplane } from '../dataplane/model.ts'
import { containersSet, deniedSet, publishedSet, servedSet } from '../dataplane/names.ts'
import { maxelemFor } from '../dataplane/set-size.ts'
import { besideBefore } from '../dataplane/trial.ts'
import { FAMILIES, type Hostname } from '../net/types.ts'
import type { Policies } from '../policy/model.ts'
import { onlyBefore } from '../policy/trial.ts'
import type { LiveAddress } from '../resolve/model.ts'
import type { DesiredState } from '../targets/keeper.ts'
import { CountedContainers, countedNetworks, isOf, sameEntries } from './counted-sources.ts'
import { makeSameRules, type HostFacts } from './host-facts.ts'

/** The config that is in force again when the one on trial is not confirmed. */
export interface BeforeTrial {
  readonly config: Config
  readonly policies: Policies
}

/**
 * The desired state of the kernel, kept between passes. The dataplane is built anew only when its inputs have changed: when a pass gets the same
 * object as the one before, every difference that it finds is drift.
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
  readonly #counted: CountedContainers
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
    this.#counted = new CountedContainers(options.hostFacts)
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

  /** The config before the one on trial; undefined: none is on trial, or there was none before it. */
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

  /** Rebuilds nothing when the host facts have not changed. */
  setHostFacts(hostFacts: HostFacts): void {
    const before = this.#hostFacts
    this.#hostFacts = hostFacts
    const sameRules = makeSameRules(hostFacts, before)
    if (!sameRules) this.#dataplane = undefined
    const isCountedAnew = this.#counted.update(hostFacts)
    if (
      !sameRules ||
      isCountedAnew ||
      !sameEntries(hostFacts.containers, before.containers) ||
      !sameEntries(hostFacts.published, before.published) ||
      !sameEntries(hostFacts.served, before.served)
    )
      this.membership.setStatics(this.#statics())
  }

  /** These sets were read, so what they counted of containers that are gone is known. */
  counted(sets: readonly string[]): void {
    if (this.#counted.wereRead(sets)) this.membership.setStatics(this.#statics())
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
    // Packets bear their classes in the bits that the config on trial uses.
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
    // Containers of overlay networks leave by a second interface there. Its address is missing in the engine's list of containers.
    const gateways = plan.guarded
      .filter(({ bridge }) => bridge === 'docker_gwbridge')
      .flatMap(({ bridge, subnets }) => subnets.map((subnet): [string, string] => [subnet, bridge]))
    const known = [...containers, ...gateways]
    for (const family of FAMILIES) {
      const own = ([element]: readonly [string, string]): boolean => isOf(family, element.split(',')[0] ?? '')
      const denied = deniedSet('policy', family)
      sets.set(denied, new Map([...(sets.get(denied) ?? []), ...this.#counted.elements(family)]))
      sets.set(containersSet(family), new Map(known.filter(own)))
      sets.set(publishedSet(family), new Map([...published].filter(own)))
      sets.set(servedSet(family), new Map([...served].filter(own)))
    }
    return sets
  }
}
