import type { MarkLayout } from '../../config/marks.ts'
import { ownBits, type ForeignMark, type OwnBits } from '../../dataplane/foreign-mark.ts'
import { FAMILIES } from '../../net/types.ts'
import type { SomeFamilies } from './driver.ts'
import { isOurs } from './hook-places.ts'
import { withoutComment } from './parse.ts'

const ALL = 0xffffffff

/**
 * Rules of others that write bits of marks which are ours. A connection bears the generation and the class under which it was admitted. Where others
 * write these bits, each packet is judged anew: a connection to an address that has expired is cut, and so are replies to other containers. Rules before
 * the filter tables cannot spoil packet marks, since ours are written right there. A rule in FORWARD can clear an approval, and then the backstop drops the packet.
 */
export function foreignMarks(saved: SomeFamilies, marks: MarkLayout): ForeignMark[] {
  const own = ownBits(marks)
  return FAMILIES.flatMap((family) =>
    [...(saved[family]?.tables ?? [])].flatMap(([table, { chains }]) =>
      [...chains].flatMap(([chain, { rules }]) =>
        isOurs(chain) || NOT_FORWARDED.has(chain)
          ? []
          : rules.flatMap(({ text }): ForeignMark[] => {
              const { packets, connections } = bitsWritten(withoutComment(text))
              if ((connections & own.connections) !== 0)
                return [{ of: 'connections', family, table, chain, text }]
              return table === 'filter' && (packets & own.packets) !== 0
                ? [{ of: 'packets', family, table, chain, text }]
                : []
            }),
      ),
    ),
  )
}

/** Connections of the host itself. */
const NOT_FORWARDED = new Set(['OUTPUT', 'INPUT'])

/** A rule that matches exactly one whole mark does not concern packets of ours: WireGuard saves the mark of its own packets like this. */
const EXACT = /-m mark --mark 0x[0-9a-f]+(?!\/)(?![0-9a-f])/

/** Bits of each kind of mark that a rule sets, clears or flips. */
function bitsWritten(text: string): OwnBits {
  const target = /-j (MARK|CONNMARK) (.*)$/.exec(text)
  const [, name, words = ''] = target ?? []
  if (name === undefined || EXACT.test(text)) return { packets: 0, connections: 0 }
  const value = (option: string, otherwise: number): number =>
    Number(new RegExp(`--${option} (0x[0-9a-f]+)`).exec(words)?.[1] ?? otherwise)
  const set = /--set-xmark (0x[0-9a-f]+)\/(0x[0-9a-f]+)/.exec(words)
  const bits = set ? Number(set[1]) | Number(set[2]) : value('nfmask', ALL) | value('ctmask', ALL)
  const isPackets = name === 'MARK' || words.includes('--restore-mark')
  return isPackets ? { packets: bits, connections: 0 } : { packets: 0, connections: bits }
}
