import type { Config } from '../config/model.ts'
import { ClassNumbers } from '../policy/class-numbers.ts'
import type { Generation } from '../reconcile/generation.ts'
import type { ReadState } from './state-store.ts'
import { savedClasses, savedGeneration } from './formats.ts'

/** What the marks of live connections mean: under which rules they were judged, and with whose rights. */
export interface SavedMarks {
  readonly generation: Generation
  readonly classNumbers: ClassNumbers
}

/**
 * @param read reads a file of the state directory
 * @param policies the policies of the config
 * @param digest of the policies as compiled, with temporary entries
 */
export async function loadMarks(
  read: ReadState,
  policies: Config['policies'],
  digest: string,
): Promise<SavedMarks> {
  const generation = (await read('generation', savedGeneration)) ?? { generation: 1, digest: '' }
  const classes = await read('classes', savedClasses)
  const isSame = generation.digest === digest
  const classNumbers = new ClassNumbers(classes, isSame ? policies : undefined)
  // Without the numbers of the classes, the rights that a connection's mark names are unknown. An empty digest has all connections judged again.
  const isLost = classes === undefined && policies.length > 0
  return { generation: isLost ? { ...generation, digest: '' } : generation, classNumbers }
}
