import { maskOf, prefixOf } from './cidr.ts'
import { familyOf, type Cidr } from './types.ts'

/** Of an address only the leading bits count here: they fit into a number, and longer prefixes add next to nothing to a share. */
const BITS = 48

/** How much of a network these networks hold together, from 0 to 1. Networks of the other family count for nothing, and overlaps count once. */
export function shareHeld(whole: Cidr, networks: Iterable<Cidr>): number {
  const [first, last] = rangeOf(whole)
  const ranges = Array.from(networks)
    .filter((network) => familyOf(network) === familyOf(whole))
    .map(rangeOf)
    .toSorted(([one], [other]) => one - other)
  let held = 0
  let next = first
  for (const [from, to] of ranges) {
    const begin = Math.max(from, next)
    const end = Math.min(to, last)
    if (end <= begin) continue
    held += end - begin
    next = end
  }
  return held / (last - first)
}

/** The first address and the one behind the last, in units of the counted bits. */
function rangeOf(network: Cidr): [number, number] {
  const { bytes } = maskOf(network)
  const start = Array.from({ length: BITS / 8 }, (_, i) => bytes[i] ?? 0).reduce(
    (sum, byte) => sum * 256 + byte,
    0,
  )
  return [start, start + 2 ** (BITS - prefixOf(network))]
}
