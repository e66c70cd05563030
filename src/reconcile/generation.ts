import { HOST_NETWORK_MARK, type Config } from '../config/model.ts'
import { generationMark, GENERATIONS } from '../dataplane/names.ts'

/** What of an earlier pass has to outlive the process. */
export interface Generation {
  readonly generation: number
  /** Digest of the policy under which the generation began. */
  readonly digest: string
}

/**
 * Another digest of rights begins another generation: every live connection is judged again by its next packet.
 * @param packetBits of packets' marks: a program that saves whole marks writes them into connections, where they must not pass for a generation
 */
export function nextGeneration(current: Generation, digest: string, packetBits: number): Generation {
  const isPacketMark = (one: number): boolean => (generationMark(one) & ~packetBits) === 0
  if (digest === current.digest && !isPacketMark(current.generation)) return current
  let { generation } = current
  do generation = (generation % GENERATIONS) + 1
  while (isPacketMark(generation))
  return { generation, digest }
}

/** Bits in packets' marks where connections bear their generation. */
export const packetBitsOf = ({ guard }: Config): number => guard.mark | HOST_NETWORK_MARK
