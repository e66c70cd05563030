import { CLASS_OF_CONNECTION, classMark, type MarkLayout } from '../../config/marks.ts'
import type { HostGroup } from '../../dataplane/model.ts'
import { HOST_NETWORK_TABLE, shortHash } from '../../dataplane/names.ts'

/** The table that marks by control group, as the kernel holds it. */
export interface SavedHostNetwork {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  /** Class by the path of the group; undefined: the group is left alone. */
  readonly classes: ReadonlyMap<string, number | undefined>
  /** How many elements are of groups that no longer exist. */
  readonly gone: number
  /** The bits into which the chains write marks, by the names of the chains. */
  readonly layouts: ReadonlySet<string>
}

interface MarkRule {
  readonly chain: string
  readonly text: string
  readonly words: string
}

export const removeHostNetwork = `delete table inet ${HOST_NETWORK_TABLE}`

/**
 * The table as one transaction that replaces whatever of it exists. Each element is a line of its own, so that one can be left out.
 * @param closed packets of containers are dropped, for the moment in which rules and marks do not fit together
 */
export function renderHostNetwork(groups: readonly HostGroup[], marks: MarkLayout, closed = false): string {
  const rules = rulesOf(groups, marks).map((one) =>
    closed && classOfChain(one.chain) !== undefined ? { ...one, text: 'drop' } : one,
  )
  const digest = digestOf(groups)
  const chains = [...new Set(rules.map(({ chain }) => chain))]
  return [
    `table inet ${HOST_NETWORK_TABLE} {}`,
    removeHostNetwork,
    `table inet ${HOST_NETWORK_TABLE} {`,
    ...levelsOf(groups).map((level) => `  map level${level} { type cgroupsv2 : verdict; }`),
    ...chains.flatMap((chain) => [
      `  chain ${chain} {`,
      // Before the filter tables, where the mark is judged, and after everything that others do to marks.
      ...(chain === OUTPUT ? ['    type filter hook output priority -1; policy accept;'] : []),
      ...rules
        .filter((rule) => rule.chain === chain)
        .map((rule) => `    ${rule.text} comment "${rule.words} [${fingerprint(rule, digest)}]"`),
      '  }',
    ]),
    '}',
    ...groups.map(
      ({ path, class: id }) =>
        `add element inet ${HOST_NETWORK_TABLE} level${levelOf(path)} { "${path}" : ${verdictOf(id, marks)} }`,
    ),
    '',
  ].join('\n')
}

/**
 * Does the kernel hold what would be written? The element of a group that is gone has lost its path. A group that was made anew under the same
 * path is another group, which the element does not match.
 */
export function hostNetworkInSync(
  saved: SavedHostNetwork,
  groups: readonly HostGroup[],
  marks: MarkLayout,
): boolean {
  const digest = digestOf(groups)
  const expected = rulesOf(groups, marks).map((rule) => fingerprint(rule, digest))
  return (
    saved.fingerprints.length === expected.length &&
    expected.every((value, index) => value === saved.fingerprints[index]) &&
    saved.classes.size + saved.gone === groups.length &&
    groups.filter(({ path, class: id }) => saved.classes.has(path) && saved.classes.get(path) === id)
      .length === saved.classes.size
  )
}

/** Equal groups have equal digests. */
export const digestOf = (groups: readonly HostGroup[]): string =>
  shortHash(
    JSON.stringify(groups.map(({ path, inode, class: id }) => [path, inode, id ?? null]).toSorted(byText)),
  )

const OUTPUT = 'output'
/** By control group. */
const GROUPS = 'groups'
const CHAIN_OF = /^class-(\d+)(?:-([0-9a-f]+))?$/

/** The class of a chain, by its name; undefined: it is no chain of a class. */
export const classOfChain = (chain: string): number | undefined => {
  const id = CHAIN_OF.exec(chain)?.[1]
  return id === undefined ? undefined : Number(id)
}

/** The layout of a chain, by its name. An earlier version did not put it there. */
export const layoutOfChain = (chain: string): string | undefined => CHAIN_OF.exec(chain)?.[2]

export const layoutOf = ({ hostNetwork, rights }: MarkLayout): string =>
  ((hostNetwork | rights) >>> 0).toString(16)

const chainOf = (id: number, marks: MarkLayout): string => `class-${id}-${layoutOf(marks)}`

const verdictOf = (id: number | undefined, marks: MarkLayout): string =>
  id === undefined ? 'accept' : `goto ${chainOf(id, marks)}`

const levelOf = (path: string): number => path.split('/').length

/** The deepest first: a container is matched by its own group before the engine's group, which contains it. */
const levelsOf = (groups: readonly HostGroup[]): number[] =>
  [...new Set(groups.map(({ path }) => levelOf(path)))].toSorted((one, other) => other - one)

/** In the order in which the kernel lists them: chain by chain, and the target of a goto before the chain that has the goto. */
function rulesOf(groups: readonly HostGroup[], marks: MarkLayout): MarkRule[] {
  const { rights, generation, hostNetwork } = marks
  const toGroups = (match: string, words: string): MarkRule[] =>
    groups.length === 0 ? [] : [{ chain: OUTPUT, text: `${match}goto ${GROUPS}`, words }]
  const classes = [...new Set(groups.flatMap(({ class: id }) => id ?? []))].toSorted((a, b) => a - b)
  return [
    ...classes.map((id) => ({
      chain: chainOf(id, marks),
      text: `meta mark set meta mark and ${hex(~(hostNetwork | rights))} or ${hex(hostNetwork | classMark(marks, id))}`,
      words: id === 0 ? 'no rights of its own' : `the rights of class ${id}`,
    })),
    ...levelsOf(groups).map((level) => ({
      chain: GROUPS,
      text: `socket cgroupv2 level ${level} vmap @level${level}`,
      words: 'by control group',
    })),
    {
      chain: OUTPUT,
      // A container that may mark packets could set these bits itself.
      text: `meta mark and ${hex(hostNetwork)} != 0 meta mark set meta mark and ${hex(~hostNetwork)}`,
      words: 'nobody but what follows says who sends',
    },
    // The kernel knows the owner of a socket only while some process has it open.
    ...toGroups('meta skuid != 4294967295 ', 'somebody has the socket'),
    {
      chain: OUTPUT,
      // A control group goes with its last process, while the kernel still sends what that process has written. No connection of the host itself bears a generation.
      text: `ct state established ct direction original ct mark and ${hex(generation)} != 0 meta mark set meta mark or ${hex(hostNetwork | classMark(marks, CLASS_OF_CONNECTION))} accept`,
      words: 'the connection of a container whose process has ended',
    },
    ...toGroups('', 'nobody has it, and the connection was never judged'),
  ]
}

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`

const fingerprint = ({ text, words }: MarkRule, digest: string): string =>
  shortHash(`${text} ${words} ${digest}`)

const byText = (one: readonly unknown[], other: readonly unknown[]): number =>
  String(one) < String(other) ? -1 : 1
