import type { Action, Io } from '../cli/command.ts'
import { EXIT } from '../cli/command.ts'
import type { ExplainArgs } from '../cli/explain.ts'
import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { DEFAULT_MARKS, marksOf } from '../config/marks.ts'
import type { CallDaemon } from '../control/client.ts'
import { askUnlessSilent } from '../control/silence.ts'
import type { GatewayVerdict } from '../control/protocol.ts'
import { askEngine } from '../workloads/docker/ask-engine.ts'
import { createDrivers } from '../host/drivers.ts'
import { HostView } from '../host/host-view.ts'
import { dockerSocketOf, lookUp } from './look-up.ts'
import { parseAddress } from '../net/address.ts'
import type { Address, Protocol } from '../net/types.ts'
import { jsonText, sanitise } from '../observe/sanitise.ts'
import type { AddressOwner } from '../resolve/model.ts'
import type { Run } from '../system/exec.ts'
import { HOST_NETWORK } from '../workloads/host-network.ts'
import { hostNetworkClass } from './host-network-class.ts'
import { isUnusable, judge, judgeOnHost, type Judgement } from './judge.ts'
import { addressOwnersOf, addressOwnerText } from './address-owners.ts'
import { findSource } from './source.ts'

interface Explanation {
  readonly allowed: boolean
  readonly source: string
  readonly network: string | undefined
  readonly destination: string
  readonly port: number | undefined
  readonly protocol: string
  readonly because: string
  readonly addresses: readonly Judgement[]
  /** Names that have or had a denied address. */
  readonly belongings?: readonly AddressOwner[]
}

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'icmp', 'gre', 'esp', 'ah', 'sctp']

/** Would it pass, and which rule decides? */
export const explainAction =
  (daemon: CallDaemon, run: Run, engineAt: typeof askEngine = askEngine): Action<ExplainArgs> =>
  async (args, io) => {
    const { ask } = askUnlessSilent(daemon, io.stderr)
    const { host, protocol: said } = args.destination
    const protocol = PROTOCOLS.find((one) => one === (said ?? 'tcp'))
    if (!protocol) return complain(io, `${said}: no protocol that is known here (${PROTOCOLS.join(', ')})`)
    const port = args.destination.port ?? (protocol === 'tcp' || protocol === 'udp' ? 443 : undefined)
    const engine = await engineAt(await dockerSocketOf(ask, args.config))
    if (!engine)
      return complain(io, 'the Docker engine cannot be reached, so containers and networks are not known')
    const source = findSource(args.source, engine.inventory)
    if (!source) return complain(io, `${args.source}: there is no such container and no such network`)
    const common = { source: args.source, destination: host, port, protocol }
    if (source.kind === 'elsewhere') {
      return tell(io, args.json, {
        ...common,
        network: undefined,
        allowed: source.allowed,
        because: source.why,
        addresses: [],
      })
    }
    const held = source.kind === 'host' ? await hostNetworkClass(source.container, run) : undefined
    if (held?.why !== undefined)
      return tell(io, args.json, {
        ...common,
        network: HOST_NETWORK,
        allowed: true,
        because: `it shares the network of the host and is not held: ${held.why}`,
        addresses: [],
      })
    const address = parseAddress(host)
    const network = source.kind === 'host' ? HOST_NETWORK : source.ways[0].network.name
    if (address === undefined && source.kind === 'bridge') {
      const from = source.ways.flatMap(({ addresses: own }) => own ?? [])[0]
      const answers = await ask<GatewayVerdict>('answers', { name: host, source: from, protocol, port })
      const said = answers ? byGateway(host, answers) : undefined
      if (said) return tell(io, args.json, { ...common, network, ...said, addresses: [] })
    }
    const addresses: readonly Address[] =
      address === undefined ? await lookUp(host, ask, args.config) : [address]
    if (addresses.length === 0) {
      return tell(io, args.json, {
        ...common,
        network,
        allowed: false,
        because: `${host} has no address`,
        addresses: [],
      })
    }
    const view = new HostView(run)
    const drivers = createDrivers(run)
    const [rules, backstop, { saved: bindings }] = await Promise.all([
      drivers.iptables.read(),
      drivers.backstop.read(),
      drivers.bindings.look(),
      view.links.read(),
    ])
    const { isHostAddress } = view
    const { networks } = engine.inventory
    const config = source.kind === 'host' ? (await loadConfig(args.config, hostConfigEnv)).config : undefined
    const judgements: Judgement[] = []
    for (const destination of addresses) {
      if (source.kind === 'host') {
        const marks = config ? marksOf(config) : DEFAULT_MARKS
        const input = { destination, protocol, port, isHostAddress, rules, marks, class: held?.class ?? 0 }
        judgements.push(await judgeOnHost(input, drivers.ipset))
        continue
      }
      const input = {
        source,
        destination,
        protocol,
        port,
        kernel: { rules, backstop, bindings },
        networks,
        isHostAddress,
      }
      judgements.push(await judge(input, drivers.ipset))
    }
    // A client takes whatever address it gets: a name is allowed when all of them are that it can use at all.
    const usable = judgements.filter((judgement) => !isUnusable(judgement))
    const decisive = usable.find(({ allowed }) => !allowed) ?? usable[0] ?? judgements[0]
    const allowed = usable.length > 0 && usable.every((one) => one.allowed)
    const isAddressDenied = address !== undefined && !allowed
    return tell(io, args.json, {
      ...common,
      network,
      allowed,
      because: decisive?.because ?? '',
      addresses: judgements,
      belongings: isAddressDenied ? await addressOwnersOf(address, ask, args.config) : [],
    })
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

function complain(io: Io, message: string): number {
  io.stderr.write(`embargod: ${sanitise(message)}\n`)
  return EXIT.failed
}

function tell(io: Io, json: boolean, explanation: Explanation): number {
  io.stdout.write(json ? jsonText(explanation) : inWords(explanation, io.color))
  return explanation.allowed ? EXIT.ok : EXIT.denied
}

function inWords(
  { allowed, source, network, destination, port, protocol, because, addresses, belongings = [] }: Explanation,
  color: boolean,
): string {
  const paint = (code: number, text: string): string => (color ? `\u001B[${code}m${text}\u001B[0m` : text)
  const verdict = (yes: boolean): string => (yes ? paint(32, 'allowed') : paint(31, 'denied'))
  const via = network === undefined ? '' : ` (network ${network})`
  const to = `${destination}${port === undefined ? '' : ` port ${port}`}/${protocol}`
  const lines = [
    `${verdict(allowed)}: ${source}${via} to ${to}`,
    `  because ${because}`,
    ...belongings.map((one) => `  ${addressOwnerText(one)}`),
  ]
  for (const judgement of addresses) {
    if (addresses.length > 1)
      lines.push(`  ${judgement.address}: ${verdict(judgement.allowed)}, ${judgement.because}`)
    lines.push(...judgement.path.map((step) => `    ${step}`))
    lines.push(...judgement.provisos.map((proviso) => `    ${proviso}`))
  }
  return `${lines.map(sanitise).join('\n')}\n`
}
