import { BRIDGED, generationMark, GENERATIONS, type MarkLayout } from '../config/marks.ts'

/** What of an earlier pass has to outlive the process. */
export interface Generation {
  readonly generation: number
  /** Digest of the policy under which the generation began. */
  readonly digest: string
  /** Where connections bear it; undefined: an earlier version did not say. */
  readonly marks?: MarkLayout | undefined
  /** Of a generation whose rules were perhaps not all written: that of the rules before them. */
  readonly former?: Bearing | undefined
}

/** A generation as connections bear it. */
export interface Bearing {
  readonly generation: number
  readonly marks: MarkLayout
}

/**
 * What live connections may bear.
 * @param layout where an earlier version did not say
 */
export const bearingsOf = (one: Generation, layout: MarkLayout): Bearing[] => [
  ...(one.former ? [one.former] : []),
  { generation: one.generation, marks: one.marks ?? layout },
]

/**
 * Another digest of rights begins another generation: every live connection is judged again by its next packet.
 * None looks like bits of packets' marks: a program that saves whole marks writes them into connections, where they must not pass for a generation.
 */
export function nextGeneration(current: Generation, digest: string, marks: MarkLayout): Generation {
  const packetBits = marks.approval | marks.hostNetwork
  const isPacketMark = (one: number): boolean => (generationMark(marks, one) & ~packetBits) === 0
  if (digest === current.digest && !isPacketMark(current.generation)) return current
  let { generation } = current
  do generation = (generation % GENERATIONS) + 1
  while (isPacketMark(generation))
  return { generation, digest, marks }
}

/** A mark of connections, and the bits of it that count. */
export interface MarkPattern {
  readonly mark: number
  readonly mask: number
}

/**
 * What connections bear that were marked by another layout and would be read as admitted by this one: those that were admitted while the rules
 * changed, and those that were only bridged. They are to be forgotten, and judged again.
 */
export function misread({ marks: former, generation }: Bearing, next: Bearing): MarkPattern[] {
  const { marks } = next
  if (former.generation === marks.generation) return []
  const overlap = former.generation & marks.generation
  const [was, is] = [generationMark(former, generation), generationMark(marks, next.generation)]
  const admitted = { mark: (was | is) >>> 0, mask: (former.generation | marks.generation) >>> 0 }
  const bridged = { mark: generationMark(former, BRIDGED), mask: former.generation }
  return [...((was & overlap) === (is & overlap) ? [admitted] : []), ...(overlap === 0 ? [] : [bridged])]
}

/**
 * What a fresh process goes on from. The disk may know of an older generation than the kernel's, where it was full for instance: then nobody knows the rights
 * that the kernel's connections were admitted under, and the next generation is one that none of them bears.
 * @param standing those that the kernel lets pass, the latest last
 * @param layout where connections bear them today
 */
export function believable(saved: Generation, standing: readonly number[], layout: MarkLayout): Generation {
  const latest = standing.at(-1)
  if (latest === undefined || latest === saved.generation) return saved
  const borne = new Set([...standing, saved.generation])
  const { former } = saved
  const marks = (former?.generation === latest ? former.marks : saved.marks) ?? layout
  let unknown: Generation = { generation: latest, digest: '', marks }
  while (borne.has(nextGeneration(unknown, 'any', layout).generation))
    unknown = { ...nextGeneration(unknown, 'any', layout), digest: '' }
  return unknown.generation === latest ? unknown : { ...unknown, former: { generation: latest, marks } }
}
