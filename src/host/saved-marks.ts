import type { Config } from '../config/model.ts'
import { ClassNumbers } from '../policy/class-numbers.ts'
import type { Generation } from '../reconcile/generation.ts'
import type { StateFormat } from '../system/state.ts'
import { savedClasses, savedGeneration } from './saved.ts'

/** What live connections bear: under which rules they were judged, and with whose rights. */
export interface Marks {
  readonly generation: Generation
  readonly classNumbers: ClassNumbers
}

/**
 * As an earlier process left them.
 * @param load of the state directory; undefined: there is no such file, or it cannot be used
 * @param digest of the policies in force
 */
export async function loadMarks(
  load: <T>(name: string, format: StateFormat<T>) => Promise<T | undefined>,
  policies: Config['policies'],
  digest: string,
): Promise<Marks> {
  const generation = (await load('generation', savedGeneration)) ?? { generation: 1, digest: '' }
  const classes = await load('classes', savedClasses)
  const isSame = generation.digest === digest
  const classNumbers = new ClassNumbers(classes, isSame ? policies : undefined)
  // Without the numbers nobody knows whose rights a connection bears: all are judged again.
  const isLost = classes === undefined && policies.length > 0
  return { generation: isLost ? { ...generation, digest: '' } : generation, classNumbers }
}
