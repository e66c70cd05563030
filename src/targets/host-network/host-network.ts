import { CLASS_OF_CONNECTION, classMark, type MarkLayout } from '../../config/marks.ts'
import type { HostGroup } from '../../dataplane/model.ts'
import { HOST_NETWORK_TABLE, shortHash } from '../../dataplane/names.ts'

/** What the kernel holds of the marks by control group. */
export interface SavedHostNetwork {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  /** The number of its rights by a group's path; undefined: it is left alone. */
  readonly classes: ReadonlyMap<string, number | undefined>
  /** Elements of groups that are gone. */
  readonly gone: number
  /** Where the chains that mark put their marks, as their names say. */
  readonly layouts: ReadonlySet<string>
}

interface MarkRule {
  readonly chain: string
  readonly text: string
  readonly words: string
}

export const removeHostNetwork = `delete table inet ${HOST_NETWORK_TABLE}`

/**
 * The table as one transaction that replaces whatever of it is there. Each element is a line of its own, so that one can be left out.
 * @param closed what containers send is dropped, for the moment in which rules and marks do not fit
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
      // Ahead of the filter tables, where the mark is judged, and behind all that others do to marks.
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
 * Is what the kernel holds what would be written? A group that is gone takes its path along; one that was made anew under the same name is
 * another group, which the element does not mean.
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

/** Of the verdict of an element, as the kernel's tool names its chain. */
export const classOfChain = (chain: string): number | undefined => {
  const id = CHAIN_OF.exec(chain)?.[1]
  return id === undefined ? undefined : Number(id)
}

/** Of the same. An earlier version did not say. */
export const layoutOfChain = (chain: string): string | undefined => CHAIN_OF.exec(chain)?.[2]

export const layoutOf = ({ hostNetwork, rights }: MarkLayout): string =>
  ((hostNetwork | rights) >>> 0).toString(16)

const chainOf = (id: number, marks: MarkLayout): string => `class-${id}-${layoutOf(marks)}`

const verdictOf = (id: number | undefined, marks: MarkLayout): string =>
  id === undefined ? 'accept' : `goto ${chainOf(id, marks)}`

const levelOf = (path: string): number => path.split('/').length

/** The deepest first: who is in the engine's group is known by his own before. */
const levelsOf = (groups: readonly HostGroup[]): number[] =>
  [...new Set(groups.map(({ path }) => levelOf(path)))].toSorted((one, other) => other - one)

/** In the order in which the kernel lists them: chain by chain, and those that are gone to before those that go there. */
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
      // Who may mark packets could mark his own so.
      text: `meta mark and ${hex(hostNetwork)} != 0 meta mark set meta mark and ${hex(~hostNetwork)}`,
      words: 'nobody but what follows says who sends',
    },
    // The kernel knows an owner only as long as some process has the socket.
    ...toGroups('meta skuid != 4294967295 ', 'somebody has the socket'),
    {
      chain: OUTPUT,
      // A control group goes with its last process, while the kernel still sends what that has written. No connection of the host itself bears a generation.
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
