import { classMark } from '../dataplane/names.ts'
import type { Binding } from '../dataplane/model.ts'
import type { Assignment, Member } from '../policy/classes.ts'
import type { HostInterface } from '../system/host.ts'
import type { Network } from '../workloads/model.ts'
import { findPorts, parseInterfaceIndexes } from '../workloads/ports.ts'

interface Known {
  readonly pid: number
  /** What it was connected to when it was looked at. */
  readonly bridges: string
  readonly indexes: ReadonlySet<number>
}

/** Which port of which bridge is whose. Remembers what it read of a process for as long as its networks are the same. */
export class ContainerPorts {
  readonly #known = new Map<string, Known>()

  constructor(private readonly readText: (path: string) => Promise<string | undefined>) {}

  /** What containers may send from. Those whose port is not found have none: they are held for unknown. */
  async bindings(
    { members }: Assignment,
    networks: readonly Network[],
    interfaces: readonly HostInterface[],
  ): Promise<Binding[]> {
    const bridgeOf = new Map(networks.map(({ id, bridge }) => [id, bridge]))
    const byContainer = new Map<string, { pid: number; bridges: string[] }>()
    for (const { container, networkId } of members) {
      const bridge = bridgeOf.get(networkId)
      if (container.pid === undefined || bridge === undefined) continue
      const one = byContainer.get(container.id)
      if (one) one.bridges.push(bridge)
      else byContainer.set(container.id, { pid: container.pid, bridges: [bridge] })
    }
    for (const id of this.#known.keys()) if (!byContainer.has(id)) this.#known.delete(id)
    const connected = await Promise.all(
      [...byContainer].map(async ([id, { pid, bridges }]) => ({
        id,
        bridges,
        indexes: await this.#indexes(id, pid, bridges),
      })),
    )
    const ports = findPorts(connected, interfaces)
    for (const { id, bridges } of connected)
      if (bridges.some((bridge) => !ports.has(`${id} ${bridge}`))) this.#known.delete(id)
    return members.flatMap((member) => {
      const port = ports.get(`${member.container.id} ${bridgeOf.get(member.networkId)}`)
      return port === undefined ? [] : bindingsOf(member, port)
    })
  }

  async #indexes(id: string, pid: number, connectedTo: readonly string[]): Promise<ReadonlySet<number>> {
    const bridges = connectedTo.join(' ')
    const known = this.#known.get(id)
    if (known?.pid === pid && known.bridges === bridges) return known.indexes
    // Any process may read it; only /proc must not hide the processes of others.
    const text = await this.readText(`/proc/${pid}/net/igmp`)
    const indexes = parseInterfaceIndexes(text ?? '')
    this.#known.set(id, { pid, bridges, indexes })
    return indexes
  }
}

const bindingsOf = ({ mac, addresses, class: id }: Member, port: string): Binding[] =>
  mac === undefined || id === undefined
    ? []
    : addresses.map((address) => ({ port, mac, address, mark: classMark(id) }))
