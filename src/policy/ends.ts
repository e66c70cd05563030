import type { AllowEntry } from '../config/model.ts'
import { classify } from '../net/ranges.ts'
import type { Address, Cidr, Hostname } from '../net/types.ts'
import type { Policy } from './model.ts'

/** When the rights of one port list end by themselves, epoch ms. A target that is missing here lasts. */
export interface Ends {
  readonly names: ReadonlyMap<Hostname, NameEnd>
  readonly cidrs: ReadonlyMap<Cidr, number>
}

/** An entry with `private: true` may end before or after one without it, so a name has two ends. Infinity: it lasts. */
export interface NameEnd {
  readonly publicMs: number
  /** Of its private addresses; never later than the other. */
  readonly privateMs: number
}

/** The end of a right that several entries give is the latest of theirs. */
export const endOfEntry = ({ untilMs }: AllowEntry): number => untilMs ?? Infinity

/** With one more entry of the same name. */
export const joinEnds = (known: NameEnd | undefined, entry: AllowEntry): NameEnd => ({
  publicMs: Math.max(known?.publicMs ?? NEVER_HELD, endOfEntry(entry)),
  privateMs: Math.max(known?.privateMs ?? NEVER_HELD, entry.private ? endOfEntry(entry) : NEVER_HELD),
})

/** Undefined: none of them ends, as is mostly the case, so nothing has to be checked. */
export function endsOf(
  names: ReadonlyMap<Hostname, NameEnd>,
  cidrs: ReadonlyMap<Cidr, number>,
): Ends | undefined {
  const ending = {
    names: new Map([...names].filter(([, { publicMs, privateMs }]) => isEnd(publicMs) || isEnd(privateMs))),
    cidrs: new Map([...cidrs].filter(([, endMs]) => isEnd(endMs))),
  }
  return ending.names.size > 0 || ending.cidrs.size > 0 ? ending : undefined
}

/** When the right to an address that a name holds ends. */
export function endOfAddress(
  ends: Pick<Ends, 'names'> | undefined,
  name: Hostname,
  address: Address,
): number {
  const end = ends?.names.get(name)
  if (!end) return Infinity
  if (end.publicMs === end.privateMs) return end.publicMs
  return classify(address) === 'private' ? end.privateMs : end.publicMs
}

/** When the last right to a name ends, over all policies; Infinity: one of them lasts. */
export const endOfName = (policies: readonly Policy[], name: Hostname): number =>
  Math.max(
    NEVER_HELD,
    ...policies.flatMap(({ groups }) =>
      groups
        .filter(({ names }) => names.has(name))
        .map(({ ends }) => ends?.names.get(name)?.publicMs ?? Infinity),
    ),
  )

/** The end of a right that was never given. */
export const NEVER_HELD = -Infinity

const isEnd = (endMs: number): boolean => Number.isFinite(endMs)
