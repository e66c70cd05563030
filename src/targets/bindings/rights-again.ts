import { BINDINGS_TABLE, shortHash } from '../../dataplane/names.ts'

/**
 * The class of a packet is written into its mark right before the filter table. Earlier, others may write marks too: a VPN that restores its own
 * bits from the connection, a rule that restores whole marks. And the host may route by marks. The port cannot be seen here, but the bindings
 * have dropped frames that bear a container's addresses and come from another port, so hardware address and address identify the sender.
 */
export const AGAIN_SETS: Readonly<Record<string, string>> = {
  again4: 'map again4 { type ether_addr . ipv4_addr : verdict; }',
  again6: 'map again6 { type ether_addr . ipv6_addr : verdict; }',
}

interface AgainRule {
  readonly chain: 'again' | 'forward' | 'input'
  readonly text: string
  readonly words: string
}

/** @param rights the bits that hold the class */
const rulesFor = (rights: number): readonly AgainRule[] => [
  { chain: 'again', text: 'ether saddr . ip saddr vmap @again4', words: 'its rights, by its IPv4 address' },
  { chain: 'again', text: 'ether saddr . ip6 saddr vmap @again6', words: 'its rights, by its IPv6 address' },
  {
    chain: 'again',
    text: `meta iifkind "bridge" meta mark set meta mark and ${hex(~rights)}`,
    words: 'no rights but by what precedes',
  },
  // Not only from bridges: VLANs and macvlans on top of a guarded bridge are guarded with it.
  { chain: 'forward', text: 'goto again', words: 'whoever it comes from' },
  { chain: 'input', text: 'goto again', words: 'whoever it comes from' },
]
const CHAINS = ['again', 'forward', 'input'] as const

/** After everything that others do to marks before the filter table (priority 0), such as in mangle (-150). */
export const AGAIN_PRIORITY = -5

export const renderAgain = (rights: number): string[] => [
  `table inet ${BINDINGS_TABLE} {`,
  ...Object.values(AGAIN_SETS).map((text) => `  ${text}`),
  ...CHAINS.flatMap((chain) => [
    `  chain ${chain} {`,
    ...(chain === 'again'
      ? []
      : [`    type filter hook ${chain} priority ${AGAIN_PRIORITY}; policy accept;`]),
    ...rulesFor(rights)
      .filter((rule) => rule.chain === chain)
      .map((rule) => `    ${ruleLine(rule)}`),
    '  }',
  ]),
  '}',
]

export const againElement = (mac: string, address: string, mark: number): string =>
  `${mac} . ${address} : goto ${chainOf(mark)}`

/** A chain for each mark that the elements lead to. A chain that exists is written anew. */
export function chainsFor(elements: Iterable<string>, rights: number): string[] {
  const chains = new Set([...elements].map((element) => element.slice(element.lastIndexOf(' ') + 1)))
  return [...chains].flatMap((chain) => [
    `add chain inet ${BINDINGS_TABLE} ${chain}`,
    `flush chain inet ${BINDINGS_TABLE} ${chain}`,
    `add rule inet ${BINDINGS_TABLE} ${chain} ${ruleLine(ruleOf(chain, rights))}`,
  ])
}

/** The table as it was read. */
export interface SavedAgain {
  /** By chain: each rule by the fingerprint in its comment. */
  readonly fingerprints: ReadonlyMap<string, readonly (string | undefined)[]>
  readonly hooked: boolean
}

/** Is every rule as it would be written? */
export function againInSync({ fingerprints, hooked }: SavedAgain, rights: number): boolean {
  return (
    hooked &&
    CHAINS.every((chain) => fingerprints.has(chain)) &&
    [...fingerprints].every(([chain, found]) => {
      const wanted = isFixed(chain)
        ? rulesFor(rights)
            .filter((rule) => rule.chain === chain)
            .map(fingerprint)
        : [fingerprint(ruleOf(chain, rights))]
      return found.length === wanted.length && wanted.every((value, index) => value === found[index])
    })
  )
}

const isFixed = (chain: string): boolean => CHAINS.some((one) => one === chain)

const chainOf = (mark: number): string => `rights-${mark.toString(16)}`

function ruleOf(chain: string, rights: number): { readonly text: string; readonly words: string } {
  const mark = Number.parseInt(chain.slice('rights-'.length), 16)
  return {
    text: `meta mark set meta mark and ${hex(~rights)} or ${hex(mark)}`,
    words: 'these rights',
  }
}

const ruleLine = (rule: { readonly text: string; readonly words: string }): string =>
  `${rule.text} comment "${rule.words} [${fingerprint(rule)}]"`

const fingerprint = ({ text, words }: { readonly text: string; readonly words: string }): string =>
  shortHash(`${text} ${words}`)

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`
}
