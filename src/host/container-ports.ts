import { classMark } from '../dataplane/names.ts'
import type { Binding } from '../dataplane/model.ts'
import type { Assignment, Member } from '../policy/classes.ts'
import type { Run } from '../system/exec.ts'
import type { HostInterface } from '../system/host.ts'
import { networkNamespaces } from '../system/net-namespaces.ts'
import type { Network } from '../workloads/model.ts'
import { findPorts, portKey } from '../workloads/ports.ts'

/** Which port of which bridge is whose. */
export class ContainerPorts {
  /** By container: the process and the ports for which it was made sure that they are its own. */
  readonly #sure = new Map<string, string>()
  #problem: string | undefined

  constructor(
    private readonly run: Run,
    /** Undefined: there is no such file. */
    private readonly readText: (path: string) => Promise<string | undefined>,
  ) {}

  /** Why no port was found at all. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** What containers may send from. Those whose port is not found have none: they are held for unknown. */
  async bindings(
    { members }: Assignment,
    networks: readonly Network[],
    interfaces: readonly HostInterface[],
  ): Promise<Binding[]> {
    const bridgeOf = new Map(networks.map(({ id, bridge }) => [id, bridge]))
    const running = new Map<string, { readonly pid: number; readonly bridges: string[] }>()
    for (const { container, networkId } of members) {
      const bridge = bridgeOf.get(networkId)
      if (container.pid === undefined || bridge === undefined) continue
      const one = running.get(container.id)
      if (one) one.bridges.push(bridge)
      else running.set(container.id, { pid: container.pid, bridges: [bridge] })
    }
    // Asked anew each time: both a process's number and a namespace's go to somebody else when they are free.
    const namespaces = await this.#namespaces([...running.values()].map(({ pid }) => pid))
    const connected = [...running].map(([id, { pid, bridges }]) => ({
      id,
      bridges,
      namespace: namespaces.get(pid),
    }))
    const ports = findPorts(connected, interfaces)
    const strangers = await this.#strangers(running, ports)
    return members.flatMap((member) => {
      const { id } = member.container
      const port = ports.get(portKey(id, bridgeOf.get(member.networkId) ?? ''))
      return port === undefined || strangers.has(id) ? [] : bindingsOf(member, port)
    })
  }

  async #namespaces(pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
    try {
      const found = await networkNamespaces(this.run, pids)
      this.#problem = undefined
      return found
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
      return new Map()
    }
  }

  /** Containers whose process has ended and given its number to one of somebody else. */
  async #strangers(
    running: ReadonlyMap<string, { readonly pid: number; readonly bridges: readonly string[] }>,
    ports: ReadonlyMap<string, string>,
  ): Promise<ReadonlySet<string>> {
    for (const id of this.#sure.keys()) if (!running.has(id)) this.#sure.delete(id)
    const strangers = new Set<string>()
    await Promise.all(
      [...running].map(async ([id, { pid, bridges }]) => {
        const found = `${pid} ${bridges.map((bridge) => ports.get(portKey(id, bridge)) ?? '').join(' ')}`
        if (this.#sure.get(id) === found) return
        // The engine names a container's control group by its id, in whatever hierarchy.
        const groups = (await this.readText(`/proc/${pid}/cgroup`)) ?? ''
        if (groups.includes(id)) this.#sure.set(id, found)
        else strangers.add(id)
      }),
    )
    return strangers
  }
}

const bindingsOf = ({ mac, addresses, class: id }: Member, port: string): Binding[] =>
  mac === undefined || id === undefined
    ? []
    : addresses.map((address) => ({ port, mac, address, mark: classMark(id) }))
