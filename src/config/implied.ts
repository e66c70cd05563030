import { cidrContains } from '../net/cidr.ts'
import { coversPort, portList } from '../net/ports.ts'
import { patternOf } from '../net/pattern.ts'
import type { PortList } from '../net/types.ts'
import type { AllowEntry, Problem } from './model.ts'
import type { Judged, PlacedEntry } from './rules.ts'
import { problemAt } from './source.ts'
import { targetText } from './target-text.ts'
import { nodeAt, placeAt, type Path } from './tree.ts'

/** Effects of a config that the file does not state. Nothing is wrong with them, but an operator may look for the reason one day. */
export function* implied(judged: Judged): Generator<Problem> {
  const { tree } = judged
  for (const [path, message] of [
    ...unknownSources(judged),
    ...withoutGateway(judged),
    ...mailThatNothingOpens(judged),
    ...networksLeftAlone(judged),
    ...firstOfSeveral(judged),
  ])
    yield problemAt(placeAt(tree, path), message, 'note')
  for (const list of judged.lists) yield* moreSpecific(judged, list)
  yield* resolversInNever(judged)
}

/** The engine's name for the network of the host. */
const HOST_NETWORK = 'host'

type Note = readonly [path: Path, message: string]

function* unknownSources({ config }: Judged): Generator<Note> {
  const { unknown, hostServices } = config.guard
  const [first, ...others] = Object.entries(config.policies).filter(([, { inherit }]) => !inherit)
  if (!first) return
  const [id] = first
  const path = ['policies', id, 'inherit']
  const whose = others.length === 0 ? `policy ${id} has` : `policy ${id} and ${others.length} more have`
  if (unknown !== 'deny')
    yield [
      path,
      `${whose} inherit: false, so traffic from sources that are not known containers, such as a build, reaches nothing, as with guard.unknown: deny`,
    ]
  if (hostServices === 'all' || hostServices.includes('all') || hostServices.includes('published'))
    yield [
      path,
      `${whose} inherit: false, so its containers do not reach published ports of other containers by the address of the host`,
    ]
}

const ONLY_GATEWAY = ['upstreams', 'denied', 'log', 'maxHold', 'minTtl', 'maxTtl', 'port'] as const

function* withoutGateway({ config, tree }: Judged): Generator<Note> {
  const { gateway, servers } = config.dns
  if (gateway && servers.length > 0 && !config.guard.hostNetwork)
    yield [
      ['dns', 'servers'],
      'dns.servers has no effect beside dns.gateway: true, which answers questions to any server: dns.upstreams names the servers that it asks itself',
    ]
  if (gateway) return
  for (const key of ONLY_GATEWAY) {
    if (nodeAt(tree, ['dns', key]) !== undefined)
      yield [['dns', key], `dns.${key} has no effect without dns.gateway: true`]
  }
}

function* mailThatNothingOpens({ config, lists }: Judged): Generator<Note> {
  const { smtp, policies } = config
  const opens = (ports: readonly number[], some: readonly (readonly PlacedEntry[])[]): boolean =>
    some.some((list) => list.some(({ entry }) => ports.some((port) => coversPort(entry.ports, 'tcp', port))))
  const message = (path: string, ports: readonly number[]): string =>
    `${path} limits mail but allows none: no entry of allow opens ${ports.join(', ')}/tcp`
  if (smtp?.destinations === 'allowed' && !opens(smtp.ports, lists))
    yield [['smtp'], message('smtp', smtp.ports)]
  for (const [at, [id, { smtp: own, inherit }]] of Object.entries(policies).entries()) {
    const [common = [], ...others] = lists
    const some = [...(inherit ? [common] : []), others[at] ?? []]
    if (own?.destinations === 'allowed' && !opens(own.ports, some))
      yield [['policies', id, 'smtp'], message(`policies.${id}.smtp`, own.ports)]
  }
}

/** A policy holds where its network is guarded. */
function* networksLeftAlone({ config }: Judged): Generator<Note> {
  const { networks, except, hostNetwork } = config.guard
  for (const [id, { match }] of Object.entries(config.policies)) {
    for (const { network } of [match ?? []].flat()) {
      if (network === undefined) continue
      const path = ['policies', id, 'match']
      if (network === HOST_NETWORK) {
        if (!hostNetwork)
          yield [
            path,
            `policy ${id} matches the network of the host, where no container is held to policy without guard.hostNetwork: true`,
          ]
        continue
      }
      if (except.includes(network) || (networks !== 'all' && !networks.includes(network)))
        yield [path, `policy ${id} matches network ${network}, which is not guarded: it does nothing there`]
    }
  }
}

function* firstOfSeveral({ config }: Judged): Generator<Note> {
  for (const key of ['smtp', 'denyWith'] as const) {
    const having = Object.entries(config.policies).filter(([, policy]) => policy[key] !== undefined)
    const [first, ...others] = having
    const other = others.find(([, policy]) => JSON.stringify(policy[key]) !== JSON.stringify(first?.[1][key]))
    if (!first || !other) continue
    yield [
      ['policies', other[0], key],
      `a container in several policies has the ${key} of the first of them in the file: ${having.map(([id]) => id).join(', ')}`,
    ]
  }
}

/** With the gateway the most specific entry of a list decides, its ports too. */
function* moreSpecific({ config }: Judged, list: readonly PlacedEntry[]): Generator<Problem> {
  if (!config.dns.gateway) return
  const portsOf = new Map<string, PortList>()
  for (const { entry } of list) {
    const text = targetText(entry.target)
    portsOf.set(text, portList([...(portsOf.get(text)?.specs ?? []), ...entry.ports.specs]))
  }
  for (const { entry, place } of list) {
    const text = targetText(entry.target)
    const own = portsOf.get(text)
    for (const wider of patternsAbove(entry)) {
      const ports = portsOf.get(wider)
      if (!own || !ports || portList([...own.specs, ...ports.specs]).text === own.text) continue
      yield problemAt(
        place,
        `${text} is more specific than ${wider}, so of its ports (${ports.text}) only ${own.text} is open to it`,
        'note',
      )
    }
  }
}

/** The patterns that a name falls under. */
function patternsAbove({ target }: AllowEntry): string[] {
  if (target.kind !== 'domain') return []
  const labels = target.name.split('.')
  return labels.slice(1).flatMap((_, index) => {
    const suffix = labels.slice(index + 1).join('.') as typeof target.name
    return [...(index === 0 ? [patternOf(suffix, 'one')] : []), patternOf(suffix, 'any')]
  })
}

function* resolversInNever({ config, tree }: Judged): Generator<Problem> {
  if (config.dns.gateway) return
  for (const [index, server] of config.dns.servers.entries()) {
    const above = config.never.find((never) => cidrContains(never, server))
    if (above !== undefined)
      yield problemAt(
        placeAt(tree, ['dns', 'servers', index]),
        `${server} lies in never (${above}): containers get no answer from it`,
        'warning',
      )
  }
}
