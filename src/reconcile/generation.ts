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
