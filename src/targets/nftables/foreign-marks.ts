import type { MarkLayout } from '../../config/marks.ts'
import { ownBits, type ForeignMark } from '../../dataplane/foreign-mark.ts'

const ALL = 0xffffffff
/** From the first priority on packets bear our bits, and up to the second one the backstop looks at them. */
const OURS_FROM = -5
const OURS_UNTIL = 10

/** iptables has its rules in tables of these names, where its own tool lists them. */
const OF_IPTABLES = /^(ip|ip6) (filter|nat|mangle|raw|security)$/
/** Connections of the host itself. */
const NOT_FORWARDED = new Set(['input', 'output'])

/** Rules in the listing of a whole ruleset that write bits of marks in which ours lie. */
export function nftForeignMarks(listing: string, marks: MarkLayout): ForeignMark[] {
  const own = ownBits(marks)
  const found: ForeignMark[] = []
  let table = ''
  let chain = ''
  let base: { readonly hook: string; readonly priority: number } | undefined
  for (const line of listing.split('\n')) {
    const opened = /^(\t?)(table|chain) (.+) \{/.exec(line)
    if (opened?.[2] === 'table') table = opened[3] ?? ''
    if (opened?.[2] === 'chain') [chain, base] = [opened[3] ?? '', undefined]
    const hooked = /^\t\ttype \w+ hook (\w+) .*?priority ([^;]+);/.exec(line)
    if (hooked) base = { hook: hooked[1] ?? '', priority: priorityOf(hooked[2] ?? '') }
    if (opened || hooked || OF_IPTABLES.test(table) || table.split(' ')[1]?.startsWith('embargod-')) continue
    if (base && NOT_FORWARDED.has(base.hook)) continue
    const text = line.trim().replace(/ comment ".*"$/, '')
    if (EXACT.test(text)) continue
    const isBehind = base?.hook === 'forward' && base.priority > OURS_FROM && base.priority <= OURS_UNTIL
    for (const { of, bits } of written(text))
      if ((bits & own[of]) !== 0 && (of === 'connections' || isBehind))
        found.push({ of, family: undefined, table, chain, text })
  }
  return found
}

/** A rule that matches exactly one whole mark does not concern packets of ours. */
const EXACT = /(^| )(meta )?mark (== )?(0x[0-9a-f]+|\d+) /

const NAMED: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  dstnat: -100,
  filter: 0,
  security: 50,
  srcnat: 100,
}

function priorityOf(text: string): number {
  const [, name = '', sign = '+', offset = '0'] = /^([a-z]+)(?: ([+-]) (\d+))?$/.exec(text.trim()) ?? []
  const named = NAMED[name]
  return named === undefined ? Number(text) : named + Number(`${sign}${offset}`)
}

/** Of each mark that the rule writes, the bits that it sets, clears or flips. An expression that is not understood counts as all bits. */
function written(text: string): { readonly of: ForeignMark['of']; readonly bits: number }[] {
  return [...text.matchAll(/\b(ct|meta) mark set (.*?)(?= (?:ct|meta) mark set |$)/g)].map(
    ([, mark, value = '']) => {
      const of = mark === 'ct' ? ('connections' as const) : ('packets' as const)
      const rest = new RegExp(`^${mark} mark((?: (?:&|\\||\\^|and|or|xor) (?:0x[0-9a-f]+|\\d+))*)`).exec(
        value,
      )
      return { of, bits: rest?.[1] ? bitsOf(rest[1]) : rest ? 0 : ALL }
    },
  )
}

function bitsOf(operations: string): number {
  let bits = 0
  for (const [, operation = '', value = ''] of operations.matchAll(/ (\S+) (\S+)/g))
    bits |= operation === '&' || operation === 'and' ? ~Number(value) : Number(value)
  return bits >>> 0
}
