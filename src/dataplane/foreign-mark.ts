import { hexMask, type MarkLayout } from '../config/marks.ts'
import type { Family } from '../net/types.ts'

/** A rule of somebody else's that writes bits of marks in which ours lie. */
export interface ForeignMark {
  readonly of: 'packets' | 'connections'
  /** Undefined: a table of nft. */
  readonly family: Family | undefined
  readonly table: string
  readonly chain: string
  readonly text: string
}

/** Our bits, in each kind of mark. */
export interface OwnBits {
  readonly packets: number
  readonly connections: number
}

export const ownBits = (marks: MarkLayout): OwnBits => ({
  packets: (marks.approval | marks.rights) >>> 0,
  connections: (marks.generation | marks.rights) >>> 0,
})

const EFFECTS = {
  connections: 'so connections on expired addresses are cut',
  packets: 'so what is allowed is dropped by the second guard',
} as const

/** For an operator: which rules, and what to do. */
export const markWords = (found: readonly ForeignMark[], marks: MarkLayout): string =>
  (['connections', 'packets'] as const)
    .flatMap((of) => {
      const rules = found.filter((one) => one.of === of)
      return rules.length === 0
        ? []
        : [
            `other rules write the bits of ${of}' marks that embargod uses (${hexMask(ownBits(marks)[of])}), ${EFFECTS[of]}: ` +
              rules
                .map(
                  ({ family, table, chain, text }) =>
                    `${family === undefined ? 'nft' : `IPv${family}`} ${table} ${chain}: ${text}`,
                )
                .join('; '),
          ]
    })
    .join('. ') + '. Give them a mask of their own bits, or move those of embargod (guard.mark, guard.marks)'
