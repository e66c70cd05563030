import { GENERATIONS } from '../dataplane/names.ts'

/** What of an earlier pass has to outlive the process. */
export interface Generation {
  readonly generation: number
  /** Digest of the policy under which the generation began. */
  readonly digest: string
}

/** Another digest of rights begins another generation: every live connection is judged again by its next packet. */
export function nextGeneration(current: Generation, digest: string): Generation {
  if (digest === current.digest) return current
  return { generation: (current.generation % GENERATIONS) + 1, digest }
}

/**
 * What a fresh process goes on from. The disk may know of an older generation than the kernel's, where it was full for instance: then nobody knows the rights
 * that the kernel's connections were admitted under, and the next generation is one that none of them bears.
 * @param standing those that the kernel lets pass, the latest last
 */
export function believable(saved: Generation, standing: readonly number[]): Generation {
  const latest = standing.at(-1)
  if (latest === undefined || latest === saved.generation) return saved
  const borne = new Set([...standing, saved.generation])
  let unknown: Generation = { generation: latest, digest: '' }
  while (borne.has(nextGeneration(unknown, 'any').generation))
    unknown = { ...nextGeneration(unknown, 'any'), digest: '' }
  return unknown
}
