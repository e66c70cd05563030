import type { HostInterface } from '../system/host.ts'
import { defaultBridgeAddress } from './default-bridge.ts'
import { usesIptables, usesNftables } from './engine.ts'
import { ENGINE_SOCKETS, hostRootBy, leavesGroupBy } from './escapes.ts'
import type { InterfacePlan } from './guarded.ts'
import { exposes } from './host-paths.ts'
import { containersOnHostNetwork } from './host-network.ts'
import type { Container, Engine, Inventory, Unprotected } from './model.ts'

export interface UnprotectedInput {
  /** Undefined while the engine has not been heard. */
  readonly inventory: Inventory | undefined
  readonly engine: Engine | undefined
  readonly interfaces: readonly HostInterface[]
  readonly plan: InterfacePlan
  readonly config: {
    readonly docker: { readonly socket: string }
    readonly guard: { readonly inbound: 'published' | 'any' }
    readonly smtp: MailLimit | undefined
    readonly policies: readonly { readonly id: string; readonly smtp: MailLimit | undefined }[]
  }
  /** Does the backstop stand behind the rules? */
  readonly secondGuard: boolean
  /** Do both guards stand, and did the last proof on each network pass? */
  readonly proven: boolean
  /** Are the containers' look-ups answered by our own DNS gateway? */
  readonly dnsGateway: boolean
  /** Networks whose containers have the engine ask for them, past that gateway. */
  readonly askedByEngine: readonly string[]
  /** Networks on which containers of different rights live. */
  readonly mixedNetworks: readonly string[]
  /** Policies that let their containers reach nearly every address, with the entries that do so, as an operator finds them. */
  readonly openPolicies: readonly { readonly policy: string; readonly entries: readonly string[] }[]
  /** Undefined: `guard.hostNetwork` is false. */
  readonly hostNetwork: HostNetworkState | undefined
}

interface MailLimit {
  readonly destinations: 'allowed' | 'any'
}

/** Who of those on the host's network is held to policy. */
export interface HostNetworkState {
  readonly held: ReadonlySet<string>
  /** By id, why not. */
  readonly unheld: ReadonlyMap<string, string>
  /** Why nobody is. */
  readonly problem: string | undefined
}

/** Everything on this host that the firewall does not hold: what applies to the whole host first, then by reason and subject. */
export const findUnprotected = (facts: UnprotectedInput): Unprotected[] => [
  ...wholeHost(facts),
  ...bridges(facts),
  ...networks(facts),
  ...containers(facts),
]

const wholeHost = ({
  engine,
  config,
  secondGuard,
  proven,
  dnsGateway,
  openPolicies,
}: UnprotectedInput): Unprotected[] => {
  const found: Unprotected[] = []
  if (engine?.rootless) {
    found.push({
      reason: 'rootless',
      subject: '',
      advice:
        'A rootless engine keeps its networks in a namespace of its own, out of reach of this firewall: use the rootful engine.',
    })
  }
  if (engine && !usesIptables(engine) && !(usesNftables(engine) && proven)) {
    const why = usesNftables(engine)
      ? 'and no proof has shown yet that the rules in FORWARD hold: see `embargod verify`, or'
      : 'where DOCKER-USER is not asked:'
    found.push({
      reason: 'engine-backend',
      subject: '',
      advice: `The engine keeps its rules in ${sayBackend(engine.firewallBackend)}, ${why} set "firewall-backend": "iptables" in daemon.json.`,
    })
  }
  if (!secondGuard) {
    found.push({
      reason: 'no-second-guard',
      subject: '',
      advice:
        'Only the rules stand: install nft and a kernel with nf_tables, so that the backstop holds while they are disturbed.',
    })
  }
  if (!dnsGateway) {
    found.push({
      reason: 'dns-tunnel',
      subject: '',
      advice:
        'Containers may ask the resolvers in use for any name, and data can leave in such names: set dns.gateway, or let the resolvers answer only the names needed.',
    })
  }
  if (config.guard.inbound === 'any') {
    found.push({
      reason: 'published-inbound',
      subject: '',
      advice:
        'Whoever can reach a container by its own address gets answers, which may carry anything: set guard.inbound to published.',
    })
  }
  const senders = [{ id: '', smtp: config.smtp }, ...config.policies]
  for (const { id } of senders.filter(({ smtp }) => smtp?.destinations === 'any')) {
    found.push({
      reason: 'smtp-any',
      subject: id,
      advice:
        'Mail may leave to any server within the rate: set smtp.destinations to allowed and name the mail servers.',
    })
  }
  for (const { policy, entries } of openPolicies) {
    found.push({
      reason: 'open-policy',
      subject: policy,
      advice: `Its containers reach nearly every address by ${entries.join(', ')}: name what they need, or write { to: internet }.`,
    })
  }
  return found
}

const sayBackend = (driver: string | undefined): string =>
  /^[a-z0-9+-]{1,32}$/.test(driver ?? '') ? `${driver}` : 'an unknown firewall'

const bridges = ({ interfaces, plan }: UnprotectedInput): Unprotected[] => {
  const guarded = new Set(plan.guarded.map((one) => one.bridge))
  const uplinks = interfaces
    .filter((one) => guarded.has(one.name))
    .flatMap((bridge) =>
      bridge.ports.filter((port) => !isContainersEnd(port)).map((port) => ({ bridge, port })),
    )
  return [
    ...plan.foreign.map((name): Unprotected => ({
      reason: 'foreign-bridge',
      subject: name,
      advice:
        "The bridge looks like a container network but is not the engine's: it is let through; list it in guard.ignoreInterfaces if that is right.",
    })),
    ...uplinks.map(({ bridge, port }): Unprotected => ({
      reason: 'bridge-uplink',
      subject: bridge.name,
      advice: `Its port ${port.name} is no container's, and what leaves by it is bridged past the rules: take the port off the bridge.`,
    })),
  ]
}

/** The engine names the host's end of a container's pair `veth` and 7 hex digits. */
export const isContainersEnd = (port: {
  readonly name: string
  readonly kind?: string | undefined
}): boolean => port.kind === 'veth' && /^veth[0-9a-f]{7}$/.test(port.name)

const networks = ({
  interfaces,
  inventory,
  plan,
  mixedNetworks,
  dnsGateway,
  askedByEngine,
}: UnprotectedInput): Unprotected[] => [
  ...askedByEngine
    .filter((name) => dnsGateway && plan.guarded.some(({ networkName }) => networkName === name))
    .map((subject): Unprotected => ({
      reason: 'dns-tunnel',
      subject,
      advice: `The engine asks for its containers, past the DNS gateway: ${dnsSetup(interfaces)}, then restart engine and containers.`,
    })),
  ...mixedNetworks.map((subject): Unprotected => ({
    reason: 'mixed-bridge',
    subject,
    advice:
      'Containers of different rights share it and can relay for each other: give those with more rights a network of their own.',
  })),
  ...(inventory?.networks ?? []).flatMap(({ driver, name }): Unprotected[] =>
    driver === 'macvlan' || driver === 'ipvlan'
      ? [
          {
            reason: driver,
            subject: name,
            advice: `Containers on ${driver} networks send past the host's firewall: use a bridge network, or filter on the router.`,
          },
        ]
      : [],
  ),
]

/** The address matters little, as long as containers have a route to it: whatever they ask is led to the gateway. */
const dnsSetup = (interfaces: readonly HostInterface[]): string => {
  const address = defaultBridgeAddress(interfaces)
  return address === undefined
    ? 'let `embargod setup-dns --address A` write "dns": ["A"], an address of this host, into daemon.json'
    : `let \`embargod setup-dns\` write "dns": ["${address}"] into daemon.json`
}

const containers = ({ inventory, config, hostNetwork: state }: UnprotectedInput): Unprotected[] => {
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

/** What is not held of a container on the host's network; undefined: nothing. */
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

/** The engine gives NET_RAW to all from whom it is not taken. */
const hasRawSockets = ({ privileged, capAdd, capDrop }: Container): boolean => {
  const named = (names: readonly string[], ...some: readonly string[]): boolean =>
    some.some((name) => names.includes(name))
  if (privileged || named(capAdd, 'NET_RAW')) return true
  return !named(capDrop, 'ALL', 'NET_RAW')
}
