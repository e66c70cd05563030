import { containersOnHostNetwork } from '../host-network.ts'
import { exposes } from '../host-paths.ts'
import type { Container, Unprotected } from '../model.ts'
import { ENGINE_SOCKETS, hostRootBy, leavesGroupBy } from './escapes.ts'
import type { HostNetworkState, UnprotectedInput } from './input.ts'

export const unprotectedContainers = ({
  inventory,
  config,
  hostNetwork: state,
}: UnprotectedInput): Unprotected[] => {
  const all = inventory?.containers ?? []
  const onHostNetwork = containersOnHostNetwork(all)
  return all
    .filter((container) => container.running)
    .flatMap((container) => {
      const hostNetwork = onHostNetwork.has(container.id) ? hostNetworkAdvice(container, state) : undefined
      return judgeContainer(container, onHostNetwork.has(container.id), hostNetwork, config.docker.socket)
    })
    .toSorted((left, right) => (left.reason < right.reason ? -1 : left.reason > right.reason ? 1 : 0))
}

const judgeContainer = (
  container: Container,
  onHostNetwork: boolean,
  hostNetwork: string | undefined,
  socket: string,
): Unprotected[] => {
  const subject = container.name || container.id.slice(0, 12)
  const found: Unprotected[] = []
  const add = (reason: Unprotected['reason'], advice: string) => found.push({ reason, subject, advice })
  if (hostNetwork !== undefined) add('host-network', hostNetwork)
  if (onHostNetwork) {
    if (container.privileged || container.capAdd.some((capability) => OPENS_HOST_NETWORK.has(capability))) {
      add(
        'netadmin-on-host',
        "It may change the host's firewall: take NET_ADMIN and privileged from it, or the host's network.",
      )
    }
  }
  const reachesEngine = container.mounts.some(({ source }) =>
    [socket, ...ENGINE_SOCKETS].some((path) => exposes(source, path)),
  )
  const root = reachesEngine ? undefined : hostRootBy(container)
  if (container.privileged) {
    add(
      'privileged',
      'A privileged container can load kernel modules and reach the host: grant the single capabilities it needs.',
    )
  } else if (root !== undefined) {
    add('privileged', `It can have the host send for it as a privileged container can: ${root}.`)
  } else if (container.pid === undefined) {
    add('privileged', 'What it may do is not known: the engine lists it and does not answer what it is.')
  }
  if (reachesEngine) {
    add(
      'docker-socket-mounted',
      'Whoever can ask the engine is root on the host, read-only mount or not: put a filtering socket proxy before it.',
    )
  }
  if (container.publishedPorts.length > 0 || container.servedPorts.length > 0) {
    add(
      'published-inbound',
      'It answers whoever connects to its published ports, and answers may carry anything: bind them to an address that only its clients reach.',
    )
  }
  return found
}

const OPENS_HOST_NETWORK = new Set(['NET_ADMIN', 'SYS_ADMIN', 'SYS_MODULE', 'ALL'])

/** What a container on the host's network can do past its policy; undefined: nothing. */
function hostNetworkAdvice(container: Container, state: HostNetworkState | undefined): string | undefined {
  if (!state)
    return "It uses the host's network, which is not filtered: give it a bridge network and publish its ports, or set guard.hostNetwork."
  const why = state.problem ?? state.unheld.get(container.id)
  if (why !== undefined) return `It uses the host's network and is not held to policy there: ${why}.`
  if (!state.held.has(container.id))
    return "It uses the host's network and is not held to policy yet: it has just started."
  const leaves = leavesGroupBy(container)
  const gaps = [
    ...(leaves === undefined ? [] : [`may leave the control group that holds it: ${leaves}`]),
    ...(hasRawSockets(container)
      ? ['may send frames past it by packet sockets: give it cap_drop: [NET_RAW]']
      : []),
  ]
  return gaps.length === 0
    ? undefined
    : `It is held to policy on the host's network, but ${gaps.join('; it ')}.`
}

/** The engine gives NET_RAW to every container whose config does not drop it. */
const hasRawSockets = ({ privileged, capAdd, capDrop }: Container): boolean => {
  const named = (names: readonly string[], ...some: readonly string[]): boolean =>
    some.some((name) => names.includes(name))
  if (privileged || named(capAdd, 'NET_RAW')) return true
  return !named(capDrop, 'ALL', 'NET_RAW')
}
