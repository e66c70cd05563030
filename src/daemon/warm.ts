import type { HostDrivers } from '../host/drivers.ts'
import { applyWarmStart, isCurrent, savedWarmStart, WARM_START } from '../state/warm-start.ts'
import { savedGeneration } from '../state/formats.ts'
import type { Logger } from '../observe/logger.ts'
import { StateStore } from '../state/state-store.ts'

/**
 * Enforces what was enforced last, before the rest of the daemon is built. Only on a kernel without rules of ours, as after a boot, and only with the same
 * program and config. Whatever goes wrong here, the first pass corrects it.
 */
export async function enforceLast(
  configFile: string,
  directories: readonly string[],
  drivers: HostDrivers,
  log: Logger,
): Promise<{ readonly filled: Promise<void> } | undefined> {
  try {
    if ((await drivers.ipset.headers()).length > 0) return undefined
    for (const directory of directories) {
      const state = new StateStore(directory)
      const warm = await state.peek(WARM_START, savedWarmStart)
      if (!warm || !(await isCurrent(warm, configFile, Date.now()))) continue
      if ((await state.peek('generation', savedGeneration))?.digest !== warm.digest) continue
      const applied = await applyWarmStart(directory, warm, drivers)
      log.info({ sets: warm.dataplane.sets.length }, 'enforcing what was enforced last')
      return applied
    }
  } catch (error) {
    log.warn({ err: error }, 'what was enforced last could not be written at once')
  }
  return undefined
}
