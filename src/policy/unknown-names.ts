import type { Config } from '../config/model.ts'
import { nearest } from '../config/near.ts'
import type { Path } from '../config/tree.ts'
import { HOST_NETWORK } from '../workloads/host-network.ts'
import { isGuardable } from '../workloads/guarded.ts'
import type { Inventory } from '../workloads/model.ts'
import { COMPOSE_PROJECT, COMPOSE_SERVICE } from '../workloads/own-labels.ts'
import { globTest } from './rights.ts'

type NamingConfig = Pick<Config, 'policies'> & {
  readonly guard: Pick<Config['guard'], 'networks' | 'except'>
}

/** A name in the config that nothing on this host bears: it may be misspelt, or what it names is not there now. */
export interface UnknownName {
  /** Where it stands in the config. */
  readonly path: Path
  /** What is missing, and what may have been meant. Names are hostile text. */
  readonly words: string
  /** What may have been meant. */
  readonly near: string | undefined
}

/** Something of the engine that the config names. */
interface Mention {
  readonly path: Path
  readonly what: string
  readonly name: string
  readonly isThere: boolean
  /** What else may have been meant. */
  readonly others: readonly string[]
}

/** To compare a name with others takes time, and the engine may have any number of them, of any length. */
const MOST_COMPARED = 1_000
const LONGEST_COMPARED = 128
/** More names that are missing have no misspelling looked for. */
const MOST_EXPLAINED = 20

export const namesAnything = ({ guard, policies }: NamingConfig): boolean =>
  guard.networks !== 'all' || guard.except.length > 0 || policies.some(({ match }) => match.length > 0)

/** In the order of the config: networks to guard, networks to leave alone, and what policies match. Labels are free text, so they are not looked for. */
export function unknownNames(config: NamingConfig, inventory: Inventory): UnknownName[] {
  return [...mentions(config, factsOf(inventory))]
    .filter(({ isThere }) => !isThere)
    .map(({ path, what, name, others }, index) => {
      const near =
        index < MOST_EXPLAINED && name.length <= LONGEST_COMPARED
          ? nearest(name, others.filter(({ length }) => length <= LONGEST_COMPARED).slice(0, MOST_COMPARED))
          : undefined
      return { path, near, words: `no ${what} ${name}${near === undefined ? '' : `; did you mean ${near}?`}` }
    })
}

interface NamesInUse {
  readonly guardable: ReadonlySet<string>
  readonly networks: ReadonlySet<string>
  readonly containers: ReadonlySet<string>
  /** Services by compose project. */
  readonly projects: ReadonlyMap<string, ReadonlySet<string>>
}

function factsOf({ networks, containers }: Inventory): NamesInUse {
  const projects = new Map<string, Set<string>>()
  for (const { labels } of containers) {
    const project = labels[COMPOSE_PROJECT]
    if (project === undefined) continue
    const services = projects.get(project) ?? new Set()
    projects.set(project, services.add(labels[COMPOSE_SERVICE] ?? ''))
  }
  return {
    guardable: new Set(networks.filter(isGuardable).map(({ name }) => name)),
    networks: new Set([HOST_NETWORK, ...networks.map(({ name }) => name)]),
    containers: new Set(containers.map(({ name }) => name)),
    projects,
  }
}

function* mentions({ guard, policies }: NamingConfig, facts: NamesInUse): Generator<Mention> {
  const { networks, except } = guard
  for (const [i, name] of (networks === 'all' ? [] : networks).entries())
    yield among(['guard', 'networks', i], 'network', name, facts.guardable)
  for (const [i, name] of except.entries())
    yield among(['guard', 'except', i], 'network', name, facts.networks)
  for (const { id, match } of policies)
    for (const [i, { network, container, compose }] of match.entries()) {
      // Of a single map that is written without a list the place is that of the map.
      const path = ['policies', id, 'match', i]
      if (network !== undefined) yield among([...path, 'network'], 'network', network, facts.networks)
      if (container !== undefined) yield containerMention([...path, 'container'], container, facts)
      if (compose !== undefined) yield composeMention([...path, 'compose'], compose, facts)
    }
}

const among = (path: Path, what: string, name: string, known: ReadonlySet<string>): Mention => ({
  path,
  what,
  name,
  isThere: known.has(name),
  others: [...known],
})

function containerMention(path: Path, name: string, { containers }: NamesInUse): Mention {
  const mention = among(path, 'container', name, containers)
  if (!/[*?]/.test(name)) return mention
  return { ...mention, isThere: [...containers].some(globTest(name)), others: [] }
}

function composeMention(
  path: Path,
  { project, service }: { readonly project: string; readonly service: string | undefined },
  { projects }: NamesInUse,
): Mention {
  const services = projects.get(project)
  if (services === undefined || service === undefined)
    return among(path, 'compose project', project, new Set(projects.keys()))
  return among(path, `service in compose project ${project} that is called`, service, services)
}
