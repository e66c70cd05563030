import { formatDuration } from './duration.ts'
import { judgeEntry } from './entry-rules.ts'
import { implied } from './implied.ts'
import { mostCountable } from './mail-budget.ts'
import { hexMask } from './marks.ts'
import type { AllowEntry, Problem } from './model.ts'
import { judgePolicies } from './policy-rules.ts'
import type { ConfigOutput } from './schema.ts'
import { problemAt, whereOf, type SourcePosition } from './source.ts'
import { targetText } from './target-text.ts'
import { keyPlaceAt, nodeAt, placeAt, type Path, type Tree } from './tree.ts'

export interface PlacedEntry {
  readonly entry: AllowEntry
  readonly place: SourcePosition
}

/** What the rules look at: values that are well-formed one by one. */
export interface Judged {
  readonly config: ConfigOutput
  /** The common list and the list of each policy. An entry that is listed twice is a mistake only within one list. */
  readonly lists: readonly (readonly PlacedEntry[])[]
  readonly tree: Tree
  /** Values that were refused already. Rules that involve one of them are not judged. */
  readonly unusable: readonly Path[]
  readonly nowMs: number
}

/** The rules that span several values. Each has its own function, and collects problems instead of throwing. */
export function judge(judged: Judged): Problem[] {
  const found = [
    ...refreshOrder(judged),
    ...ttlOrder(judged),
    ...staleLast(judged),
    ...networkLists(judged),
    ...openDoors(judged),
    ...mailBudgets(judged),
    ...markBits(judged),
    ...policies(judged),
    ...judged.lists.flatMap((list) => [...entries(judged, list)]),
  ]
  // A config that is refused implies nothing.
  const isRefused = judged.unusable.length > 0 || found.some(({ severity }) => severity === 'error')
  return isRefused ? found : [...found, ...implied(judged)]
}

function* refreshOrder(judged: Judged): Generator<Problem> {
  const { min, max } = judged.config.resolver.refresh
  yield* inOrder(judged, ['resolver', 'refresh'], { min, max })
}

function* ttlOrder(judged: Judged): Generator<Problem> {
  const { minTtl, maxTtl } = judged.config.dns
  yield* inOrder(judged, ['dns'], { minTtl, maxTtl })
}

/** @param pair the lesser and the greater of two durations of a section, by their keys */
function* inOrder(
  judged: Judged,
  section: readonly [...string[], string],
  pair: Readonly<Record<string, number>>,
): Generator<Problem> {
  const paths = Object.keys(pair).map((key) => [...section, key])
  const [least = 0, most = 0] = Object.values(pair)
  if (least <= most || !usable(judged, paths)) return
  const [lesser, greater] = Object.entries(pair).map(
    ([key, ms]) => `${section.at(-1)}.${key} (${formatDuration(ms)})`,
  )
  yield problemAt(placeOfFirst(judged, paths), `${lesser} is more than ${greater}`)
}

function* staleLast(judged: Judged): Generator<Problem> {
  const { maxStale, retain, refresh } = judged.config.resolver
  const paths = [
    ['resolver', 'maxStale'],
    ['resolver', 'retain'],
    ['resolver', 'refresh', 'max'],
  ]
  if (maxStale > refresh.max + retain || !usable(judged, paths)) return
  yield problemAt(
    placeOfFirst(judged, paths),
    `maxStale (${formatDuration(maxStale)}) must be more than refresh.max and retain together (${formatDuration(refresh.max + retain)}): ` +
      'the kernel would drop addresses that are still good',
  )
}

function* networkLists(judged: Judged): Generator<Problem> {
  const { networks, except } = judged.config.guard
  const path = ['guard', 'networks']
  if (networks === 'all' || !usable(judged, [path])) return
  if (networks.length === 0) {
    yield problemAt(
      placeAt(judged.tree, path),
      'guard.networks is an empty list: nothing is guarded',
      'warning',
    )
  }
  for (const [i, name] of except.entries()) {
    if (!networks.includes(name)) continue
    yield problemAt(
      placeAt(judged.tree, ['guard', 'except', i]),
      `${name} is in both guard.networks and guard.except`,
    )
  }
}

/**
 * No two of our marks share a bit where they stand in the same kind of mark. In packets these are the approval, the rights and the host's network; in
 * connections the rights and the generation. Bits of packets may lie where connections have the generation: none that looks like them is ever used.
 */
function* markBits(judged: Judged): Generator<Problem> {
  const { mark, marks, hostNetwork } = judged.config.guard
  const rights = { key: ['marks', 'rights'], bits: marks.rights, says: 'tells policies apart' }
  const approval = { key: ['mark'], bits: mark, says: 'is the approval of the second guard' }
  const generation = {
    key: ['marks', 'generation'],
    bits: marks.generation,
    says: 'tells when a connection was admitted',
  }
  const host = {
    key: ['marks', 'hostNetwork'],
    bits: marks.hostNetwork,
    says: 'tells the network of the host',
  }
  const pairs = [
    [approval, rights],
    [generation, rights],
    // Without guard.hostNetwork no packet bears this bit.
    ...(hostNetwork || isGiven(judged, host.key) ? [[host, rights] as const, [approval, host] as const] : []),
  ] as const
  for (const [one, other] of pairs) {
    if ((one.bits & other.bits) === 0) continue
    if (
      !usable(judged, [
        ['guard', ...one.key],
        ['guard', ...other.key],
      ])
    )
      continue
    // The value that the file sets is the one to change.
    const [named, taken] = isGiven(judged, one.key) ? [one, other] : [other, one]
    yield problemAt(
      placeAt(judged.tree, ['guard', ...named.key]),
      `guard.${named.key.join('.')} (${hexMask(named.bits)}) shares bits with guard.${taken.key.join('.')} (${hexMask(taken.bits)}), which ${taken.says}: choose others`,
    )
  }
}

const isGiven = ({ tree }: Judged, key: readonly string[]): boolean =>
  nodeAt(tree, ['guard', ...key]) !== undefined

function* policies(judged: Judged): Generator<Problem> {
  const { config, tree } = judged
  for (const { path, isKey, severity, message } of judgePolicies(config)) {
    if (!usable(judged, [path.slice(0, 2)])) continue
    const key = path.at(-1)
    const place = isKey ? keyPlaceAt(tree, path.slice(0, -1), String(key)) : placeAt(tree, path)
    yield problemAt(place, message, severity)
  }
}

function* openDoors(judged: Judged): Generator<Problem> {
  const { smtp, metadata } = judged.config
  const warn = (path: Path, message: string): Problem =>
    problemAt(placeAt(judged.tree, path), message, 'warning')
  if (smtp?.destinations === 'any') {
    yield warn(
      ['smtp', 'destinations'],
      'smtp.destinations: any lets mail go to anyone, within the rate: data can leave by mail',
    )
  }
  if (!metadata.block) {
    yield warn(
      ['metadata', 'block'],
      'metadata.block: false leaves cloud metadata to the allow rules: credentials can be read there',
    )
  }
}

function* mailBudgets(judged: Judged): Generator<Problem> {
  const { smtp, policies } = judged.config
  const budgets = [
    { path: ['smtp'], smtp },
    ...Object.entries(policies).map(([id, policy]) => ({
      path: ['policies', id, 'smtp'],
      smtp: policy.smtp,
    })),
  ]
  for (const { path, smtp: one } of budgets) {
    if (one?.burst === undefined || !usable(judged, [path])) continue
    const most = mostCountable(one.rate)
    if (one.burst <= most) continue
    yield problemAt(
      placeAt(judged.tree, [...path, 'burst']),
      `${path.join('.')}.burst: ${one.burst} is more than the rate (${one.rate.count}/${one.rate.per}) gives in a day, which the kernel cannot count: it is lowered to ${most}`,
      'warning',
    )
  }
}

function* entries(judged: Judged, list: readonly PlacedEntry[]): Generator<Problem> {
  const { metadata, never, dns } = judged.config
  const gateway = dns.gateway || !usable(judged, [['dns', 'gateway']])
  const around = { metadata, never, gateway, nowMs: judged.nowMs }
  const seen = new Map<string, SourcePosition>()
  for (const { entry, place } of list) {
    for (const { severity, message } of judgeEntry(entry, around)) {
      yield problemAt(place, message, severity)
    }
    const { target, ports } = entry
    const name = targetText(target)
    const key = `${name} ${ports.text} ${entry.private}`
    const first = seen.get(key)
    if (first === undefined) seen.set(key, place)
    else
      yield problemAt(
        place,
        `${name} with ports ${ports.text} is already listed at ${whereOf(first)}`,
        'warning',
      )
  }
}

/** Whether none of the values at these paths was refused, whole or in part. */
const usable = (judged: Judged, paths: readonly Path[]): boolean =>
  !judged.unusable.some((bad) =>
    paths.some(
      (path) =>
        path.slice(0, bad.length).join('.') === bad.join('.') ||
        bad.slice(0, path.length).join('.') === path.join('.'),
    ),
  )

const placeOfFirst = (judged: Judged, paths: readonly Path[]): SourcePosition =>
  placeAt(judged.tree, paths.find((path) => nodeAt(judged.tree, path) !== undefined) ?? [])
