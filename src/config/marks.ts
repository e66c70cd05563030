import type { GuardConfig } from './model.ts'

/**
 * The layout of embargod's mark bits. A packet bears the approval of the rules, the rights of its sender and, where it comes from the host's network,
 * a bit for that. A connection bears rights, in the same bits as packets, and a generation. docs/marks.md lists the bits that other programs use.
 */
export interface MarkLayout {
  readonly approval: number
  readonly rights: number
  readonly generation: number
  readonly hostNetwork: number
}

export const DEFAULT_MARKS: MarkLayout = {
  approval: 0x20000000,
  // Above the small numbers that people choose by hand.
  rights: 0x00000ff8,
  generation: 0xff000000,
  hostNetwork: 0x10000000,
}

export const marksOf = ({
  guard: { mark, marks },
}: {
  readonly guard: Pick<GuardConfig, 'mark' | 'marks'>
}): MarkLayout => ({ approval: mark, ...marks })

/** How many bits rights and generations take. Wider masks are of no use. */
export const RIGHTS_BITS = 9
export const GENERATION_BITS = 8

export const GENERATIONS = 254
/** In place of a generation: the connection was bridged, and no rule admitted it. */
export const BRIDGED = 255
/** The class of a packet from the host's network whose process is gone, and with it the control group that would tell: the mark of its connection names the class. */
export const CLASS_OF_CONNECTION = 511

/** The number of a class as it stands in the marks of packets and connections. */
export const classMark = ({ rights }: Pick<MarkLayout, 'rights'>, id: number): number => placed(id, rights)

/** The generation as it stands in the connection mark, 1 to 254. */
export const generationMark = (
  { generation: mask }: Pick<MarkLayout, 'generation'>,
  generation: number,
): number => placed(generation, mask)

export const isContiguous = (mask: number): boolean =>
  mask > 0 && Number.isInteger(Math.log2(mask / lowestBit(mask) + 1))

export const widthOf = (mask: number): number => Math.log2(mask / lowestBit(mask) + 1)

export const hexMask = (mask: number): string => `0x${(mask >>> 0).toString(16)}`

const placed = (value: number, mask: number): number => (value * lowestBit(mask)) >>> 0

const lowestBit = (mask: number): number => (mask & -mask) >>> 0
