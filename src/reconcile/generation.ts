import { BRIDGED, generationMark, GENERATIONS, type MarkLayout } from '../config/marks.ts'

/** A generation of admissions, as it is saved for the next process. */
export interface Generation {
  readonly generation: number
  /** Digest of the policy under which the generation began. */
  readonly digest: string
  /** The layout of the marks in which connections bear it; undefined: an earlier version did not save it. */
  readonly marks?: MarkLayout | undefined
  /** For a generation whose rules were perhaps not all written: the generation before it. */
  readonly former?: Bearing | undefined
}

/** A generation as connections bear it. */
export interface Bearing {
  readonly generation: number
  readonly marks: MarkLayout
}

/**
 * The generations that live connections may bear, with the layout of each.
 * @param layout used where an earlier version did not save one
 */
export const bearingsOf = (one: Generation, layout: MarkLayout): Bearing[] => [
  ...(one.former ? [one.former] : []),
  { generation: one.generation, marks: one.marks ?? layout },
]

/**
 * Another digest of rights begins another generation: every live connection is judged again by its next packet.
 * No generation looks like bits of packets' marks. A program that saves whole packet marks writes those into connections, where they must not be read as a
 * generation.
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

/** A value of connection marks, and the mask of the bits that are compared. */
export interface MarkPattern {
  readonly mark: number
  readonly mask: number
}

/**
 * Marks that were written in another layout and would be read as an admission in this one: those of connections that were admitted while the rules
 * changed, and of connections that were only bridged. The kernel has to forget such connections, so that they are judged again.
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
 * The generation from which a new process goes on. The one on disk may be older than the kernel's, for example after the disk was full. Then it is not known
 * under which rights the kernel's connections were admitted, and the next generation is one that none of them bears.
 * @param standing the generations that the backstop in the kernel lets pass, the latest last
 * @param layout in which connections bear them now
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
