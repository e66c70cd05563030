import { createHash } from 'node:crypto'
import { marksOf } from '../config/marks.ts'
import type { AllowEntry, Config } from '../config/model.ts'
import type { Cidr, Hostname, PortList } from '../net/types.ts'
import { endOfEntry, endsOf, joinEnds, NEVER_HELD, type NameEnd } from './ends.ts'
import type { Group, Policies, Policy } from './model.ts'
import { isPattern, patternOf } from '../net/pattern.ts'

/** The id of the policy that every guarded container has. */
export const COMMON = 'common'

/**
 * Config and temporary entries, as they stand at `nowMs`, to rights.
 * Entries whose `until` has passed are left out; the next one to end is named in `nextEndMs`.
 */
export function compile(config: Config, temporary: readonly AllowEntry[], nowMs: number): Policies {
  const lists = [
    { id: COMMON, allow: [...config.allow, ...temporary] },
    ...config.policies.map(({ id, allow }) => ({ id, allow })),
  ].map(({ id, allow }) => ({
    id,
    allow: allow.filter((entry) => entry.untilMs === undefined || entry.untilMs > nowMs),
  }))
  const policies = lists.map(({ id, allow }) => compilePolicy(id, allow))
  const ends = lists.flatMap(({ allow }) => allow.flatMap((entry) => entry.untilMs ?? []))
  const nextEndMs = ends.length > 0 ? Math.min(...ends) : undefined
  return {
    policies,
    names: namesOf(policies, (name) => !isPattern(name)),
    patterns: namesOf(policies, isPattern),
    nextEndMs,
    admittedUntilMs: nextEndMs,
    digest: digestOf(policies, config),
  }
}

interface OpenGroup extends Group {
  readonly names: Map<Hostname, boolean>
  readonly cidrs: Map<Cidr, string>
  readonly nameEnds: Map<Hostname, NameEnd>
  readonly cidrEnds: Map<Cidr, number>
}

function compilePolicy(id: string, entries: readonly AllowEntry[]): Policy {
  const groups = new Map<string, OpenGroup>()
  const internet = new Map<string, PortList>()
  const internetEnds = new Map<string, number>()
  for (const entry of entries) {
    const { target, ports, private: mayBePrivate, comment } = entry
    if (target.kind === 'internet') {
      internet.set(ports.text, ports)
      putLatest(internetEnds, ports.text, endOfEntry(entry))
      continue
    }
    let group = groups.get(ports.text)
    if (!group) groups.set(ports.text, (group = openGroup(ports)))
    if (target.kind !== 'cidr') {
      const name = target.kind === 'domain' ? target.name : patternOf(target.suffix, target.depth)
      group.names.set(name, mayBePrivate || (group.names.get(name) ?? false))
      group.nameEnds.set(name, joinEnds(group.nameEnds.get(name), entry))
      continue
    }
    if (!group.cidrs.has(target.cidr)) group.cidrs.set(target.cidr, comment ?? 'static')
    putLatest(group.cidrEnds, target.cidr, endOfEntry(entry))
  }
  const ending = [...internetEnds].filter(([, endMs]) => endMs !== Infinity)
  return {
    id,
    groups: Array.from(groups.values(), closed),
    internet: [...internet.values()],
    internetEnds: ending.length > 0 ? new Map(ending) : undefined,
  }
}

const openGroup = (ports: PortList): OpenGroup => ({
  ports,
  names: new Map(),
  cidrs: new Map(),
  nameEnds: new Map(),
  cidrEnds: new Map(),
})

const closed = ({ ports, names, cidrs, nameEnds, cidrEnds }: OpenGroup): Group => ({
  ports,
  names,
  cidrs,
  ends: endsOf(nameEnds, cidrEnds),
})

const putLatest = <Key>(ends: Map<Key, number>, key: Key, endMs: number): void =>
  void ends.set(key, Math.max(ends.get(key) ?? NEVER_HELD, endMs))

function namesOf(
  policies: readonly Policy[],
  isWanted: (name: Hostname) => boolean,
): Map<Hostname, { private: boolean }> {
  const names = new Map<Hostname, { private: boolean }>()
  for (const policy of policies) {
    for (const group of policy.groups) {
      for (const [name, mayBePrivate] of group.names) {
        if (isWanted(name)) names.set(name, { private: mayBePrivate || (names.get(name)?.private ?? false) })
      }
    }
  }
  return names
}

/** To be increased when a new version admits less under the same config: connections of the version before are judged again then. */
const RULES = 2

/** Covers everything in the config that can take a right away from a live connection. */
function digestOf(policies: readonly Policy[], config: Config): string {
  const rights = policies.map((policy) => [
    policy.id,
    policy.groups.map((group) => [
      group.ports.text,
      [...group.names].toSorted(),
      [...group.cidrs.keys()].toSorted(),
    ]),
    policy.internet.map((ports) => ports.text),
  ])
  const limits = [
    config.guard,
    config.never,
    config.metadata,
    config.smtp,
    config.dns.servers,
    config.dns.gateway,
    ...config.policies.map((policy) => ({ ...policy, allow: undefined })),
    // Marks in other bits would be read as another class.
    marksOf(config),
  ]
  return createHash('sha256')
    .update(JSON.stringify([RULES, rights, limits]))
    .digest('hex')
    .slice(0, 16)
}
