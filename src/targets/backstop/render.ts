import type { Backstop } from '../../dataplane/model.ts'
import { BACKSTOP_TABLE, OWNED_TABLE } from '../../dataplane/names.ts'
import type { SavedBackstop } from './parse.ts'
import { chainsOf, fingerprint, HOOKS, rulesOf, type BackstopRule, type ChainName } from './rules.ts'

/** The table in the kernel, as far as writing it anew goes on from it. */
interface Before {
  readonly packets: number
  readonly bytes: number
  /** Its chains are attached to their hooks and hold only rules of ours. Then the chains stay and their rules are replaced. */
  readonly chainsStand: boolean
}

const NOTHING: Before = { packets: 0, bytes: 0, chainsStand: false }

/** The owned table comes after the plain one, so that it counts only what the plain one lets pass. */
const HELD_LATER = 1

export const beforeOf = (saved: SavedBackstop | undefined): Before =>
  saved === undefined
    ? NOTHING
    : {
        packets: saved.droppedPackets,
        bytes: saved.droppedBytes,
        chainsStand: saved.fingerprints.every((one) => one !== undefined),
      }

/** When a chain leaves its hook, the kernel drops the first packets of containers that wait in its queue. */
const clear = (table: string, { chainsStand }: Before): string =>
  `${chainsStand ? 'flush' : 'delete'} table inet ${table}`

/**
 * The table as one transaction that replaces whatever of it exists. It decides nothing itself: it drops what no rule approved.
 * `iifkind bridge` matches every bridge, also those made later, so a new network is closed before the daemon knows of it.
 */
export function renderBackstop(backstop: Backstop, before = NOTHING): string {
  return [
    `table inet ${BACKSTOP_TABLE} {}`,
    clear(BACKSTOP_TABLE, before),
    `table inet ${BACKSTOP_TABLE} {`,
    ...chainsOf(backstop).flatMap(([name, rules]) => [
      `  chain ${name} {`,
      `    ${hookLine(name)}`,
      ...rules.map((rule) => `    ${ruleLine(rule, before)}`),
      '  }',
    ]),
    '}',
    '',
  ].join('\n')
}

/** The same rules in a table that belongs to the process that writes it: one line, and so one transaction, of an `nft -i`. */
export function renderOwned(backstop: Backstop, saved?: SavedBackstop): string {
  const before = beforeOf(saved)
  return [
    ...(saved ? [`${clear(OWNED_TABLE, before)};`] : []),
    `table inet ${OWNED_TABLE} { flags owner;`,
    ...chainsOf(backstop).map(
      ([name, rules]) =>
        `chain ${name} { ${hookLine(name, HELD_LATER)} ${rules.map((rule) => `${ruleLine(rule, before)};`).join(' ')} };`,
    ),
    '}',
  ].join(' ')
}

const hookLine = (name: ChainName, later = 0): string => {
  const { hook, priority } = HOOKS[name]
  return `type filter hook ${hook} priority ${priority + later}; policy accept;`
}

function ruleLine(rule: BackstopRule, { packets, bytes }: Before): string {
  const counter = rule.isLast ? `counter packets ${packets} bytes ${bytes}` : ''
  const words = `comment "${rule.words} [${fingerprint(rule)}]"`
  return [rule.match, counter, rule.verdict, words].filter((part) => part !== '').join(' ')
}

export const removeBackstop = (table = BACKSTOP_TABLE): string =>
  `table inet ${table} {}\ndelete table inet ${table}\n`

/** Does the kernel hold what would be written? */
export function backstopInSync(desired: Backstop, saved: SavedBackstop | undefined): boolean {
  const wanted = rulesOf(desired).map(fingerprint)
  return (
    saved !== undefined &&
    saved.fingerprints.length === wanted.length &&
    wanted.every((value, index) => value === saved.fingerprints[index])
  )
}
