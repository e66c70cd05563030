import { BINDINGS_TABLE } from '../../dataplane/names.ts'
import { elementLines, SET_NAMES, type BindingElements } from './elements.ts'
import { againInSync, renderAgain, type SavedAgain } from './rights-again.ts'
import { fingerprint, FINGERPRINTS, RULES, SETS, type BindingRule } from './rules.ts'

/** What the kernel holds of the bindings. */
export interface SavedBindings {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  /** Elements by set, each as {@link elementsOf} writes it. */
  readonly elements: ReadonlyMap<string, ReadonlySet<string>>
  /** Where the rights are looked up again ahead of the filter table. */
  readonly again: SavedAgain
  readonly dropped: Dropped
}

/** Frames, by why: of a port that is somebody's, or of one that is nobody's and that used what is somebody's. */
export interface Dropped {
  readonly forged: number
  readonly claimed: number
}

/**
 * The table as one transaction that replaces whatever of it is there.
 * @param rights the bits of packets' marks that tell them
 */
export function renderBindings(wanted: BindingElements, dropped: Dropped, rights: number): string {
  const lines = (chain: BindingRule['chain']): string[] =>
    RULES.filter((rule) => rule.chain === chain).map(
      (rule) =>
        `    ${[rule.match, rule.verdict].filter(Boolean).join(' ')} comment "${rule.words} [${fingerprint(rule)}]"`,
    )
  return [
    removeBindings,
    `table bridge ${BINDINGS_TABLE} {`,
    `  counter forged { packets ${dropped.forged} bytes 0 }`,
    `  counter claimed { packets ${dropped.claimed} bytes 0 }`,
    ...Object.values(SETS).map((text) => `  ${text}`),
    '  chain known {',
    ...lines('known'),
    '  }',
    '  chain ingress {',
    // Ahead of where the bridge learns which address is behind which port.
    '    type filter hook prerouting priority -300; policy accept;',
    ...lines('ingress'),
    '  }',
    '}',
    ...renderAgain(rights),
    ...elementLines('add', wanted, rights),
    '',
  ].join('\n')
}

/** An earlier version had no table of the family inet. */
export const removeBindings = ['bridge', 'inet']
  .flatMap((family) => [`table ${family} ${BINDINGS_TABLE} {}`, `delete table ${family} ${BINDINGS_TABLE}`])
  .join('\n')

/** Is what the kernel holds what would be written, but for its elements? */
export const bindingRulesInSync = ({ fingerprints, again }: SavedBindings, rights: number): boolean =>
  againInSync(again, rights) &&
  fingerprints.length === FINGERPRINTS.length &&
  FINGERPRINTS.every((value, index) => value === fingerprints[index])

/**
 * Those of sets that we have: a later or an earlier version may have had others. Where rights are not looked up as they ought to be, the numbers may
 * lie in other bits, and would be the rights of somebody else: then there are none.
 */
export const ourElements = ({ elements, again }: SavedBindings, rights: number): BindingElements =>
  againInSync(again, rights) ? new Map([...elements].filter(([set]) => SET_NAMES.has(set))) : new Map()
