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
  /** The table that looks rights up again, right before the filter table. */
  readonly again: SavedAgain
  readonly dropped: Dropped
}

/** Frames that were dropped. `forged`: a bound port used an address that is not its own. `claimed`: a port that is not bound used an address of a container. */
export interface Dropped {
  readonly forged: number
  readonly claimed: number
}

/**
 * The table as one transaction that replaces whatever of it is there.
 * @param rights the bits of packets' marks that hold the class
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
    // Before the bridge learns which address is behind which port.
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

/** Are the rules in the kernel those that would be written? The elements may differ. */
export const bindingRulesInSync = ({ fingerprints, again }: SavedBindings, rights: number): boolean =>
  againInSync(again, rights) &&
  fingerprints.length === FINGERPRINTS.length &&
  FINGERPRINTS.every((value, index) => value === fingerprints[index])

/**
 * The elements of the sets that this version has; another version may have had others. Where the second look-up is not as it would be written,
 * class numbers may lie in other bits and would be the rights of another class, so no element counts.
 */
export const ourElements = ({ elements, again }: SavedBindings, rights: number): BindingElements =>
  againInSync(again, rights) ? new Map([...elements].filter(([set]) => SET_NAMES.has(set))) : new Map()
