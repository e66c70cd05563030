import type { Binding } from '../dataplane/model.ts'
import type { Assignment, ClassMember } from '../policy/classes.ts'
import type { HostInterface } from '../system/host.ts'
import type { AskNamespaces } from '../system/net-namespaces.ts'
import type { Network } from '../workloads/model.ts'
import { findPorts, isConnected, portKey, type ConnectedPort } from '../workloads/ports.ts'
import { ControlGroups } from './control-groups.ts'
import { errorMessage } from '../system/errors.ts'

/** A container that has an address. */
interface Resident {
  /** Undefined: it is being started, and its process is not known yet. */
  readonly pid: number | undefined
  readonly bridges: string[]
}

interface Sure {
  readonly pid: number
  readonly namespace: number
  /** The keys of its ports, as {@link endOf} makes them. */
  readonly ends: readonly string[]
}

/** Names a port with the namespace of its other end. As long as this port exists, the number of the namespace belongs to the same namespace. */
const endOf = ({ index, peer }: ConnectedPort): string => `${index} ${peer.namespace}`

/** Which port of which bridge is whose. */
export class ContainerPorts {
  /** By container: the process, namespace and ports that were checked to be its own. */
  readonly #sure = new Map<string, Sure>()
  readonly #groups: ControlGroups
  #problem: string | undefined
  #lacksSome = false

  constructor(
    private readonly askNamespaces: AskNamespaces,
    /** Undefined: there is no such file. */
    private readonly readText: (path: string) => Promise<string | undefined>,
  ) {
    this.#groups = new ControlGroups(readText)
  }

  /** Why no port was found at all. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Did a running container have no port when ports were looked up last? */
  get lacksSome(): boolean {
    return this.#lacksSome
  }

  /** The ports from which containers may send. A container whose port is not found has none, and counts as an unknown source. */
  async bindings(
    { members }: Assignment,
    networks: readonly Network[],
    interfaces: readonly HostInterface[],
  ): Promise<Binding[]> {
    const bridgeOf = new Map(networks.map(({ id, bridge }) => [id, bridge]))
    const residents = new Map<string, Resident>()
    for (const { container, networkId, addresses } of members) {
      const bridge = bridgeOf.get(networkId)
      if (bridge === undefined || (container.pid === undefined && addresses.length === 0)) continue
      const one = residents.get(container.id)
      if (one) one.bridges.push(bridge)
      else residents.set(container.id, { pid: container.pid, bridges: [bridge] })
    }
    const namespaces = await this.#namespaces(residents, interfaces)
    const connected = [...residents].map(([id, { bridges }]) => ({
      id,
      bridges,
      namespace: namespaces.get(id),
    }))
    const ports = findPorts(connected, interfaces)
    this.#lacksSome = [...residents].some(
      ([id, { pid, bridges }]) =>
        pid !== undefined && bridges.some((bridge) => !ports.has(portKey(id, bridge))),
    )
    const strangers = await this.#strangers(residents, ports)
    return members.flatMap((member) => {
      const { id } = member.container
      const port = ports.get(portKey(id, bridgeOf.get(member.networkId) ?? ''))
      return port === undefined || strangers.has(id) ? [] : bindingsOf(member, port.name)
    })
  }

  /**
   * Namespaces by container. The kernel gives the number of a process, and of a namespace, to another one when it is free. So they are asked for
   * anew, except for containers whose checked port is still there.
   */
  async #namespaces(
    residents: ReadonlyMap<string, Resident>,
    interfaces: readonly HostInterface[],
  ): Promise<ReadonlyMap<string, number>> {
    const ends = new Set(interfaces.flatMap(({ ports }) => ports.filter(isConnected).map(endOf)))
    const found = new Map<string, number>()
    const unsure: { id: string; pids: readonly number[] }[] = []
    for (const [id, { pid }] of residents) {
      const sure = this.#sure.get(id)
      if (sure && sure.pid === pid && sure.ends.some((end) => ends.has(end))) found.set(id, sure.namespace)
      else if (pid !== undefined) unsure.push({ id, pids: [pid] })
    }
    try {
      for (const [id, namespace] of await this.#ask(unsure)) found.set(id, namespace)
      const starting = this.#fresh(residents, new Set(found.values()), interfaces)
      const candidates = await Promise.all(
        starting.map(async (id) => ({ id, pids: await this.#groups.processesOf(id) })),
      )
      for (const [id, namespace] of await this.#ask(candidates)) found.set(id, namespace)
      this.#problem = undefined
    } catch (error) {
      this.#problem = errorMessage(error)
    }
    return found
  }

  /** Containers that are being started on a bridge with a port that no container has yet. The others cannot have a port yet. */
  #fresh(
    residents: ReadonlyMap<string, Resident>,
    taken: ReadonlySet<number>,
    interfaces: readonly HostInterface[],
  ): string[] {
    const fresh = new Set(
      interfaces
        .filter(({ ports }) => ports.some(({ peer }) => peer !== undefined && !taken.has(peer.namespace)))
        .map(({ name }) => name),
    )
    return [...residents].flatMap(([id, { pid, bridges }]) =>
      pid === undefined && bridges.some((bridge) => fresh.has(bridge)) ? [id] : [],
    )
  }

  /** Namespaces by container. One whose processes are in several namespaces is left out. */
  async #ask(
    containers: readonly { readonly id: string; readonly pids: readonly number[] }[],
  ): Promise<Map<string, number>> {
    const namespaces = await this.askNamespaces(containers.flatMap(({ pids }) => pids))
    return new Map(
      containers.flatMap(({ id, pids }): [string, number][] => {
        const [namespace, ...others] = new Set(pids.flatMap((pid) => namespaces.get(pid) ?? []))
        return namespace === undefined || others.length > 0 ? [] : [[id, namespace]]
      }),
    )
  }

  /** Containers whose process has ended, and whose process number now belongs to another program. */
  async #strangers(
    residents: ReadonlyMap<string, Resident>,
    ports: ReadonlyMap<string, ConnectedPort>,
  ): Promise<ReadonlySet<string>> {
    for (const id of this.#sure.keys()) if (!residents.has(id)) this.#sure.delete(id)
    const strangers = new Set<string>()
    await Promise.all(
      [...residents].map(async ([id, { pid, bridges }]) => {
        const own = bridges.flatMap((bridge) => ports.get(portKey(id, bridge)) ?? [])
        const namespace = own[0]?.peer.namespace
        // It was found by its control group, or it has no port at all.
        if (pid === undefined || namespace === undefined) return
        const ends = own.map(endOf)
        const sure = this.#sure.get(id)
        if (sure?.pid === pid && sure.ends.join() === ends.join()) return
        const groups = (await this.readText(`/proc/${pid}/cgroup`)) ?? ''
        if (this.#groups.isPlaceOf(id, groups)) this.#sure.set(id, { pid, namespace, ends })
        else strangers.add(id)
      }),
    )
    return strangers
  }
}

const bindingsOf = ({ mac, addresses, class: id }: ClassMember, port: string): Binding[] =>
  mac === undefined || id === undefined ? [] : addresses.map((address) => ({ port, mac, address, class: id }))
