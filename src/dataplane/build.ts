import type { Config } from '../config/model.ts'
import { METADATA } from '../net/metadata.ts'
import { FAMILIES, familyOf, type Address, type Cidr, type Family, type PortList } from '../net/types.ts'
import { cidrContains } from '../net/cidr.ts'
import type { Policies, Policy } from '../policy/model.ts'
import type { Chain, Dataplane, Hook, Match, Rule, Ruleset, SetSpec, Target } from './model.ts'
import { matchesOfPorts } from './ports.ts'
import { PRIVATE_RANGES } from './private-ranges.ts'
import * as names from './names.ts'
import { CHAIN, type DenyReason } from './names.ts'
import { rule, words } from './rule.ts'
import { maxelemFor } from './set-size.ts'

export interface BuildInput {
  readonly config: Pick<Config, 'denyWith' | 'smtp' | 'never' | 'metadata' | 'log' | 'resolver'> & {
    readonly guard: Pick<Config['guard'], 'mark'>
  }
  readonly policies: Policies
  /** Bridges beyond the names that are always guarded, and those left alone. */
  readonly interfaces: Interfaces
  /** Whom containers may ask for names. */
  readonly resolvers: readonly Address[]
  /** 1 to 255: connections admitted under another one are judged again. */
  readonly generation: number
  /** Elements that a set has to hold; absent: few. */
  readonly setSizes: Pick<ReadonlyMap<string, number>, 'get'>
}

export interface Interfaces {
  readonly guarded: readonly string[]
  readonly open: readonly { readonly name: string; readonly why: string }[]
}

/** How long a revoked flow stays denied by name, in seconds. */
export const REVOKED_SECONDS = 900
const LINGER_SECONDS = 86_400
const ALWAYS_GUARDED = ['docker0', 'docker_gwbridge', 'br-+']

export function buildDataplane(input: BuildInput): Dataplane {
  return {
    rules: { 4: buildRuleset(input, 4), 6: buildRuleset(input, 6) },
    sets: FAMILIES.flatMap((family) => buildSets(input, family)),
    backstop: {
      markBit: input.config.guard.mark,
      generation: input.generation,
      open: input.interfaces.open.map((open) => open.name).toSorted(),
    },
  }
}

function buildRuleset(input: BuildInput, family: Family): Ruleset {
  const chains: Chain[] = [
    { table: 'raw', name: CHAIN.raw, rules: dispatch(input, CHAIN.source) },
    { table: 'raw', name: CHAIN.source, rules: sourceRules() },
    { table: 'raw', name: names.denyChain('forged'), rules: denyRules(input, 'forged', family) },
    { table: 'filter', name: CHAIN.ok, rules: okRules(input) },
    { table: 'filter', name: CHAIN.forward, rules: dispatch(input, CHAIN.judge) },
    { table: 'filter', name: CHAIN.judge, rules: judgeRules(input, family) },
    { table: 'filter', name: CHAIN.input, rules: dispatch(input, CHAIN.host) },
    { table: 'filter', name: CHAIN.host, rules: hostRules(input, family) },
    { table: 'filter', name: CHAIN.dnat, rules: dnatRules(input, family) },
    { table: 'filter', name: CHAIN.internet, rules: internetRules(family) },
    ...input.policies.policies.map((policy): Chain => ({
      table: 'filter',
      name: names.policyChain(policy.id),
      rules: policyRules(input, policy, family),
    })),
    ...names.DENY_REASONS.filter((reason) => reason !== 'forged').map((reason): Chain => ({
      table: 'filter',
      name: names.denyChain(reason),
      rules: denyRules(input, reason, family),
    })),
  ]
  return { chains, hooks: HOOKS }
}

const HOOKS: readonly Hook[] = [
  hook('raw', ['PREROUTING'], CHAIN.raw, 'forged sources are dropped'),
  hook('filter', ['INPUT'], CHAIN.input, 'no metadata by way of the host'),
  hook(
    'filter',
    ['DOCKER-USER', 'FORWARD'],
    CHAIN.forward,
    'containers reach what is allowed and nothing else',
  ),
]

function hook(table: Hook['table'], parents: readonly string[], chain: string, text: string): Hook {
  return {
    table,
    parents,
    rule: rule({
      key: `hook.${chain.toLowerCase()}`,
      target: { kind: 'jump', chain },
      action: 'continue',
      words: text,
    }),
  }
}

/** From any packet to those of guarded networks. What is left alone comes first, since `br-+` is wider than Docker's names. */
function dispatch(input: BuildInput, chain: string): Rule[] {
  const judged = [
    ...ALWAYS_GUARDED,
    ...input.interfaces.guarded.filter((name) => !isAlwaysGuarded(name)).toSorted(),
  ]
  return [
    ...input.interfaces.open.map((open) =>
      rule({
        key: `open.${open.name}`,
        matches: [{ kind: 'in', name: open.name }],
        target: { kind: 'return' },
        action: 'return',
        words: `${open.name} is left alone: ${open.why}`,
      }),
    ),
    ...judged.map((name) =>
      rule({
        key: `guard.${name.replace('+', '')}`,
        matches: [{ kind: 'in', name }],
        target: { kind: 'goto', chain },
        action: 'continue',
        words: `guarded: ${name.replace('+', '*')}`,
      }),
    ),
  ]
}

const isAlwaysGuarded = (name: string): boolean =>
  name === 'docker0' || name === 'docker_gwbridge' || name.startsWith('br-')

function sourceRules(): Rule[] {
  return [
    rule({
      key: 'forged',
      matches: [{ kind: 'forgedSource' }],
      target: { kind: 'goto', chain: names.denyChain('forged') },
      action: 'continue',
      words: 'source does not route back through its interface',
    }),
  ]
}

/** The order of this chain is the product: see the contract of each step beside it. */
function judgeRules(input: BuildInput, family: Family): Rule[] {
  const { smtp } = input.config
  const resolvers = input.resolvers.filter((address) => familyOf(address) === family)
  const metadata = metadataOf(input, family)
  return [
    // A far end that re-creates a revoked connection the other way round would make its packets replies: hence first.
    denied(
      'revoked',
      [{ kind: 'set', set: names.revokedSet(family), fields: 'src,dst,dst' }],
      'revoked flow',
    ),
    rule({
      key: 'reply',
      matches: [
        { kind: 'state', states: ['ESTABLISHED'] },
        { kind: 'direction', direction: 'REPLY' },
      ],
      target: { kind: 'return' },
      action: 'return',
      words: 'reply to who connected from outside',
    }),
    rule({
      key: 'related',
      matches: [
        { kind: 'protocol', protocol: 'icmp' },
        { kind: 'state', states: ['RELATED'] },
      ],
      target: { kind: 'return' },
      action: 'return',
      words: 'ICMP error of a known connection',
    }),
    ...dnsRules(resolvers.filter((address) => metadata.some((cidr) => cidrContains(cidr, address)))),
    ...metadataRules(metadata),
    rule({
      key: 'admitted',
      matches: [
        { kind: 'state', states: ['ESTABLISHED'] },
        { kind: 'direction', direction: 'ORIGINAL' },
        { kind: 'connmark', value: names.generationMark(input.generation), mask: names.GENERATION_MASK },
      ],
      target: { kind: 'return' },
      action: 'return',
      words: 'connection admitted under the rules in force',
    }),
    approved('linger', 'connection to an address that has expired since', [
      { kind: 'state', states: ['ESTABLISHED'] },
      { kind: 'set', set: names.lingerSet(family), fields: 'src,dst,dst' },
    ]),
    rule({
      key: 'unapprove',
      target: { kind: 'clearMark', bit: input.config.guard.mark },
      action: 'continue',
      words: 'only what follows may approve',
    }),
    // Container ports are veth; an uplink that somebody put into the bridge is not, and what leaves by it is judged.
    approved('bridged', 'between containers of one network', [{ kind: 'bridged', out: 'veth+' }]),
    ...input.config.never
      .filter((cidr) => familyOf(cidr) === family)
      .map((cidr) => denied('never', [{ kind: 'destination', cidr }], `never: ${cidr}`, `never.${cidr}`)),
    ...(smtp ? smtpRules(smtp) : []),
    ...dnsRules(resolvers.filter((address) => !metadata.some((cidr) => cidrContains(cidr, address)))),
    ...input.policies.policies.map((policy) =>
      rule({
        key: `policy.${policy.id}`,
        policy: policy.id,
        target: { kind: 'goto', chain: names.policyChain(policy.id) },
        action: 'continue',
        words: `policy ${policy.id}`,
      }),
    ),
  ]
}

function metadataOf(input: BuildInput, family: Family): readonly Cidr[] {
  if (!input.config.metadata.block) return []
  return [...METADATA[family], ...input.config.metadata.extra.filter((cidr) => familyOf(cidr) === family)]
}

/** Link-local frames between containers of one bridge are neighbour discovery, not metadata. */
function metadataRules(metadata: readonly Cidr[]): Rule[] {
  if (metadata.length === 0) return []
  return [
    ...metadata.map((cidr) =>
      denied(
        'metadata',
        cidr === 'fe80::/10'
          ? [
              { kind: 'destination', cidr },
              { kind: 'bridged', negate: true },
            ]
          : [{ kind: 'destination', cidr }],
        `cloud metadata ${cidr}`,
        `metadata.${cidr}`,
      ),
    ),
    rule({
      key: 'metadata.dnat',
      matches: [{ kind: 'state', states: ['DNAT'] }],
      target: { kind: 'jump', chain: CHAIN.dnat },
      action: 'continue',
      words: 'redirected on the way: look at where it was going',
    }),
  ]
}

function dnatRules(input: BuildInput, family: Family): Rule[] {
  return metadataOf(input, family).map((cidr) =>
    denied(
      'metadata',
      [{ kind: 'originalDestination', cidr }],
      `cloud metadata ${cidr} before DNAT`,
      `dnat.${cidr}`,
    ),
  )
}

/** Packets to the host itself. Its own link-local IPv6 addresses are how containers find their gateway. */
function hostRules(input: BuildInput, family: Family): Rule[] {
  const metadata = metadataOf(input, family)
  const reachable = metadata.map((cidr) => (cidr === 'fe80::/10' ? ('fe80::a9fe:a9fe' as Cidr) : cidr))
  const resolvers = input.resolvers.filter((address) => familyOf(address) === family)
  return [
    ...dnsMatches(resolvers.filter((address) => metadata.some((cidr) => cidrContains(cidr, address)))).map(
      ({ key, matches, text }) =>
        rule({ key: `host.${key}`, matches, target: { kind: 'return' }, action: 'return', words: text }),
    ),
    ...metadataRules(reachable),
  ]
}

function dnsMatches(resolvers: readonly Address[]): { key: string; matches: Match[]; text: string }[] {
  return resolvers.flatMap((address) =>
    (['udp', 'tcp'] as const).map((protocol) => ({
      key: `dns.${address}.${protocol}`,
      matches: [
        { kind: 'destination', cidr: address as string as Cidr },
        { kind: 'ports', protocol, ranges: [{ from: 53, to: 53 }] },
      ] satisfies Match[],
      text: `DNS to ${address} over ${protocol}`,
    })),
  )
}

function dnsRules(resolvers: readonly Address[]): Rule[] {
  return dnsMatches(resolvers).map(({ key, matches, text }) => approved(key, text, matches))
}

function smtpRules(smtp: NonNullable<Config['smtp']>): Rule[] {
  const ports: Match = {
    kind: 'ports',
    protocol: 'tcp',
    ranges: smtp.ports.map((port) => ({ from: port, to: port })),
  }
  const { count, per } = smtp.rate
  // The kernel keeps the old settings of a table that it already knows by name: hence the settings are in the name.
  const table = `embargod-smtp-${smtp.per}-${count}-${per}-${smtp.burst}`
  const budget = `${count}/${per}, burst ${smtp.burst}, ${smtp.per === 'container' ? 'each container' : 'all together'}`
  return [
    denied(
      'smtp',
      [
        ports,
        // A live connection that is judged again after a reload is no new mail.
        { kind: 'state', states: ['ESTABLISHED', 'RELATED'], negate: true },
        {
          kind: 'hashlimit',
          limit: {
            name: table,
            side: 'above',
            count,
            per,
            burst: smtp.burst,
            bySource: smtp.per === 'container',
          },
        },
      ],
      `mail over ${budget}`,
      'smtp.over',
    ),
    ...(smtp.destinations === 'any'
      ? [approved('smtp.any', 'mail within the budget, to anyone', [ports])]
      : []),
  ]
}

function policyRules(input: BuildInput, policy: Policy, family: Family): Rule[] {
  const allow = policy.groups.flatMap((group) =>
    matchesOfPorts(group.ports, family).map(({ key, matches }) =>
      approved(
        `allow.${names.shortHash(group.ports.text, 6)}.${key}`,
        `allow ${policy.id}: ${shorten(group.ports)}`,
        [{ kind: 'set', set: names.allowSet(policy.id, group.ports, family), fields: 'dst' }, ...matches],
        policy.id,
      ),
    ),
  )
  const internet = policy.internet.flatMap((ports) =>
    matchesOfPorts(ports, family).map(({ key, matches }) =>
      rule({
        key: `internet.${names.shortHash(ports.text, 6)}.${key}`,
        policy: policy.id,
        matches,
        target: { kind: 'jump', chain: CHAIN.internet },
        action: 'continue',
        words: `allow ${policy.id}: internet ${shorten(ports)}`,
      }),
    ),
  )
  const approvedAbove = rule({
    key: 'internet.approved',
    policy: policy.id,
    matches: [{ kind: 'mark', value: input.config.guard.mark, mask: input.config.guard.mark }],
    target: { kind: 'return' },
    action: 'return',
    words: 'approved above',
  })
  return [
    ...allow,
    ...internet,
    ...(internet.length > 0 ? [approvedAbove] : []),
    denied('policy', [], `not allowed by ${policy.id}`, 'deny', policy.id),
  ]
}

const shorten = (ports: PortList): string =>
  ports.text.length > 60 ? `${ports.text.slice(0, 57)}...` : ports.text

/** Returns on private and odd space, approves the rest. */
function internetRules(family: Family): Rule[] {
  return [
    ...PRIVATE_RANGES[family].map((cidr) =>
      rule({
        key: `internet.not.${cidr}`,
        matches: [{ kind: 'destination', cidr }],
        target: { kind: 'return' },
        action: 'return',
        words: `${cidr} is not the internet`,
      }),
    ),
    approved('internet', 'anything on the internet', []),
  ]
}

function okRules(input: BuildInput): Rule[] {
  return [
    rule({
      key: 'ok.mark',
      target: { kind: 'setMark', bit: input.config.guard.mark },
      action: 'continue',
      words: 'approved: the backstop lets it pass',
    }),
    rule({
      key: 'ok.generation',
      target: {
        kind: 'setConnmark',
        value: names.generationMark(input.generation),
        mask: names.GENERATION_MASK,
      },
      action: 'continue',
      words: `admitted in generation ${input.generation}`,
    }),
  ]
}

/** Counted by network, told to who listens, refused. Reached by goto only: nothing comes back from here. */
function denyRules(input: BuildInput, reason: DenyReason, family: Family): Rule[] {
  const prefix = `embargod deny ${reason}`
  const rejects =
    reason === 'metadata' || (reason !== 'forged' && reason !== 'smtp' && input.config.denyWith === 'reject')
  const last = (key: string, target: Target, matches: readonly Match[] = []): Rule =>
    rule({
      key: `deny.${reason}.${key}`,
      matches,
      target,
      action: target.kind === 'reject' ? 'reject' : 'drop',
      words: `${reason}: ${target.kind === 'reject' ? 'refused' : 'dropped'}`,
    })
  return [
    rule({
      key: `deny.${reason}.network`,
      matches: [{ kind: 'set', set: names.deniedSet(reason, family), fields: 'src,src' }],
      action: 'count',
      words: `${reason}: counted by network`,
    }),
    ...(input.config.log.blocked
      ? [
          rule({
            key: `deny.${reason}.log`,
            matches: [{ kind: 'hashlimit', limit: logLimit(reason) }],
            target: { kind: 'log', prefix, group: names.NFLOG_GROUP },
            action: 'log',
            words: `${reason}: told, 10 a second for each source`,
          }),
        ]
      : []),
    ...(rejects
      ? [
          last('reset', { kind: 'reject', how: 'reset' }, [{ kind: 'protocol', protocol: 'tcp' }]),
          last('prohibited', { kind: 'reject', how: 'prohibited' }),
        ]
      : []),
    // An answer that cannot be sent (to a broadcast, to an odd packet) leaves the packet in the chain: it ends here.
    last('drop', { kind: 'drop' }),
  ]
}

const logLimit = (reason: DenyReason) =>
  ({
    name: `embargod-log-${reason}`,
    side: 'upto',
    count: 10,
    per: 'second',
    burst: 20,
    bySource: true,
  }) as const

function approved(key: string, text: string, matches: readonly Match[], policy = 'host'): Rule {
  return rule({
    key,
    policy,
    matches,
    target: { kind: 'goto', chain: CHAIN.ok },
    action: 'allow',
    words: text,
  })
}

function denied(
  reason: DenyReason,
  matches: readonly Match[],
  text: string,
  key: string = reason,
  policy = 'host',
): Rule {
  return rule({
    key,
    policy,
    matches,
    target: { kind: 'goto', chain: names.denyChain(reason) },
    action: 'drop',
    words: words(text),
  })
}

function buildSets(input: BuildInput, family: Family): SetSpec[] {
  const spec = (name: string, type: SetSpec['type'], timeoutSeconds: number): SetSpec => ({
    name,
    family,
    type,
    timeout: timeoutSeconds,
    maxelem: maxelemFor(input.setSizes.get(name) ?? 0),
  })
  const maxStaleSeconds = Math.floor(input.config.resolver.maxStaleMs / 1000)
  return [
    ...input.policies.policies.flatMap((policy) =>
      policy.groups.map((group) =>
        spec(names.allowSet(policy.id, group.ports, family), 'hash:net', maxStaleSeconds),
      ),
    ),
    spec(names.revokedSet(family), 'hash:ip,port,ip', REVOKED_SECONDS),
    spec(names.lingerSet(family), 'hash:ip,port,ip', LINGER_SECONDS),
    ...names.DENY_REASONS.map((reason) => spec(names.deniedSet(reason, family), 'hash:net,iface', 2_147_483)),
  ]
}
