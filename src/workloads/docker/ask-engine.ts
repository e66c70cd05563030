import { connectDocker } from './api.ts'
import { DockerWatcher } from './watcher.ts'
import type { Engine, Inventory } from '../model.ts'

const TIMEOUT_MS = 5_000

/** Asks the engine once for everything. Undefined: it cannot be reached. */
export async function askEngine(
  socket: string,
): Promise<{ readonly inventory: Inventory; readonly engine: Engine } | undefined> {
  let watcher: DockerWatcher | undefined
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve) => {
      timer = setTimeout(() => resolve(undefined), TIMEOUT_MS)
      watcher = new DockerWatcher({
        connect: () => connectDocker(socket),
        onUpdate: (update) => {
          if (update.kind === 'inventory') resolve(update)
          else if (update.kind === 'state' && !update.state.connected) resolve(undefined)
        },
      })
      watcher.start()
    })
  } finally {
    clearTimeout(timer)
    await watcher?.stop()
  }
}
