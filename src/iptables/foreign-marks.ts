import { CLASS_MASK } from '../config/model.ts'
import { GENERATION_MASK } from '../dataplane/names.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import type { SomeFamilies } from './driver.ts'
import { isOurs } from './hook-places.ts'
import { withoutComment } from './parse.ts'

const OURS = (GENERATION_MASK | CLASS_MASK) >>> 0
const ALL = 0xffffffff

/** A rule of somebody else's that writes bits of connections' marks in which ours lie. */
export interface ForeignMark {
  readonly family: Family
  readonly table: string
  readonly chain: string
  readonly text: string
}

/**
 * Connections bear under which rules and with whose rights they were admitted. Where others write these bits each packet is judged anew: a connection
 * to an address that has expired is cut, and so are replies to other containers. Packets' marks are safe, since ours are written right ahead of our rules.
 */
export const foreignMarks = (saved: SomeFamilies): ForeignMark[] =>
  FAMILIES.flatMap((family) =>
    [...(saved[family]?.tables ?? [])].flatMap(([table, { chains }]) =>
      [...chains].flatMap(([chain, { rules }]) =>
        isOurs(chain) || NOT_FORWARDED.has(chain)
          ? []
          : rules.flatMap(({ text, target }) =>
              target === 'CONNMARK' && writesOurs(withoutComment(text))
                ? [{ family, table, chain, text }]
                : [],
            ),
      ),
    ),
  )

/** Connections of the host itself. */
const NOT_FORWARDED = new Set(['OUTPUT', 'INPUT'])

/** A packet with exactly one mark is none of ours: WireGuard saves the mark of its own packets like this. */
const EXACT = /-m mark --mark 0x[0-9a-f]+(?!\/)(?![0-9a-f])/

function writesOurs(text: string): boolean {
  if (EXACT.test(text)) return false
  const set = /--set-xmark 0x[0-9a-f]+\/(0x[0-9a-f]+)/.exec(text)?.[1]
  if (set !== undefined) return overlaps(Number(set))
  if (!text.includes('--save-mark')) return false
  return overlaps(Number(/--ctmask (0x[0-9a-f]+)/.exec(text)?.[1] ?? ALL))
}

const overlaps = (mask: number): boolean => (mask & OURS) !== 0

/** For an operator: which rules, and what to do. */
export const markWords = (found: readonly ForeignMark[]): string =>
  `other rules write the bits of connections' marks that embargod uses (0x${OURS.toString(16)}), so connections on expired addresses are cut: ` +
  `${found.map(({ family, table, chain, text }) => `IPv${family} ${table} ${chain}: ${text}`).join('; ')}. Give them a mask of their own bits`
