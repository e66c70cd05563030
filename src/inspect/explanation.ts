import type { ExplainArgs } from '../cli/explain.ts'
import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { DEFAULT_MARKS, marksOf } from '../config/marks.ts'
import type { CallDaemon } from '../control/client.ts'
import type { GatewayVerdict } from '../control/protocol.ts'
import { createDrivers } from '../host/drivers.ts'
import { HostView } from '../host/host-view.ts'
import { parseAddress } from '../net/address.ts'
import type { Address, Protocol } from '../net/types.ts'
import type { AddressOwner } from '../resolve/model.ts'
import type { Run } from '../system/exec.ts'
import type { askEngine } from '../workloads/docker/ask-engine.ts'
import { HOST_NETWORK } from '../workloads/host-network.ts'
import type { Network } from '../workloads/model.ts'
import { addressOwnersOf } from './address-owners.ts'
import { hostNetworkClass } from './host-network-class.ts'
import { isUnusable, judge, judgeOnHost, type Judgement } from './judge.ts'
import { dockerSocketOf, lookUp } from './look-up.ts'
import { findSource, type Source } from './source.ts'

export interface Explanation {
  readonly allowed: boolean
  readonly source: string
  readonly network: string | undefined
  readonly destination: string
  readonly port: number | undefined
  readonly protocol: string
  readonly because: string
  readonly addresses: readonly Judgement[]
  /** Names that have or had the address that is denied. */
  readonly belongings?: readonly AddressOwner[]
}

export interface ExplainSources {
  readonly ask: CallDaemon
  readonly run: Run
  readonly engineAt: typeof askEngine
}

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'icmp', 'gre', 'esp', 'ah', 'sctp']

/** Would the connection pass, and what decides it? A text says why that cannot be told. */
export async function explanationOf(
  args: ExplainArgs,
  { ask, run, engineAt }: ExplainSources,
): Promise<Explanation | string> {
  const { host, protocol: said } = args.destination
  const protocol = PROTOCOLS.find((one) => one === (said ?? 'tcp'))
  if (!protocol) return `${said}: no protocol that is known here (${PROTOCOLS.join(', ')})`
  const port = args.destination.port ?? (protocol === 'tcp' || protocol === 'udp' ? 443 : undefined)
  const engine = await engineAt(await dockerSocketOf(ask, args.config))
  if (!engine) return 'the Docker engine cannot be reached, so containers and networks are not known'
  const { networks } = engine.inventory
  const source = findSource(args.source, engine.inventory)
  if (!source) return `${args.source}: there is no such container and no such network`
  const question = { source: args.source, destination: host, port, protocol }
  if (source.kind === 'elsewhere') {
    const { allowed, why } = source
    return { ...question, network: undefined, allowed, because: why, addresses: [] }
  }
  const hostClass = source.kind === 'host' ? await hostNetworkClass(source.container, run) : undefined
  if (hostClass?.why !== undefined) {
    const because = `it shares the network of the host and is not held: ${hostClass.why}`
    return { ...question, network: HOST_NETWORK, allowed: true, because, addresses: [] }
  }
  const address = parseAddress(host)
  const network = source.kind === 'host' ? HOST_NETWORK : source.ways[0].network.name
  if (address === undefined && source.kind === 'bridge') {
    const from = source.ways.flatMap(({ addresses }) => addresses ?? [])[0]
    const answers = await ask<GatewayVerdict>('answers', { name: host, source: from, protocol, port })
    const decision = answers ? byGateway(host, answers) : undefined
    if (decision) return { ...question, network, ...decision, addresses: [] }
  }
  const destinations = address === undefined ? await lookUp(host, ask, args.config) : [address]
  if (destinations.length === 0)
    return { ...question, network, allowed: false, because: `${host} has no address`, addresses: [] }
  const connection = { source, destinations, protocol, port, networks }
  const judgements = await judgeEach(connection, hostClass?.class ?? 0, run, args.config)
  // A client takes any address of a name that it can use, so a name is allowed when all usable addresses are.
  const usable = judgements.filter((judgement) => !isUnusable(judgement))
  const decisive = usable.find(({ allowed }) => !allowed) ?? usable[0] ?? judgements[0]
  const allowed = usable.length > 0 && usable.every((one) => one.allowed)
  const isAddressDenied = address !== undefined && !allowed
  return {
    ...question,
    network,
    allowed,
    because: decisive?.because ?? '',
    addresses: judgements,
    belongings: isAddressDenied ? await addressOwnersOf(address, ask, args.config) : [],
  }
}

interface Connection {
  readonly source: Exclude<Source, { kind: 'elsewhere' }>
  readonly destinations: readonly Address[]
  readonly protocol: Protocol
  readonly port: number | undefined
  readonly networks: readonly Network[]
}

/** Follows the connection to each of its destinations through what the kernel holds now. */
async function judgeEach(
  { source, destinations, protocol, port, networks }: Connection,
  hostClass: number,
  run: Run,
  configFile: string,
): Promise<readonly Judgement[]> {
  const view = new HostView(run)
  const drivers = createDrivers(run)
  const [rules, backstop, { saved: bindings }] = await Promise.all([
    drivers.iptables.read(),
    drivers.backstop.read(),
    drivers.bindings.look(),
    view.links.read(),
  ])
  const { isHostAddress } = view
  const config = source.kind === 'host' ? (await loadConfig(configFile, hostConfigEnv)).config : undefined
  const marks = config ? marksOf(config) : DEFAULT_MARKS
  const kernel = { rules, backstop, bindings }
  const judgements: Judgement[] = []
  for (const destination of destinations) {
    const asked = { destination, protocol, port, isHostAddress }
    judgements.push(
      source.kind === 'host'
        ? await judgeOnHost({ ...asked, rules, marks, class: hostClass }, drivers.ipset)
        : await judge({ ...asked, source, kernel, networks }, drivers.ipset),
    )
  }
  return judgements
}

/** What the DNS gateway decides before there is any address; undefined: the addresses decide. */
function byGateway(
  name: string,
  { answered, by }: NonNullable<GatewayVerdict>,
): Pick<Explanation, 'allowed' | 'because'> | undefined {
  if (!answered)
    return {
      allowed: false,
      because: `the DNS gateway does not answer for ${name}: no policy of it names it`,
    }
  if (!by || by.as === name) return undefined
  const { policy, as, opensPort } = by
  return opensPort
    ? {
        allowed: true,
        because: `${as} of policy ${policy}: what it resolves to is opened before the answer leaves the DNS gateway`,
      }
    : { allowed: false, because: `${as} of policy ${policy} allows the name, but not this port` }
}
