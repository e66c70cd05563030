import { connectDocker } from './api.ts'
import { DockerWatcher } from './watcher.ts'
import type { Engine, Inventory } from '../model.ts'

const TIMEOUT_MS = 5_000

/** What the engine says now; undefined when it cannot be reached. */
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
        listener: {
          onInventory: (inventory, engine) => resolve({ inventory, engine }),
          onNetwork: () => undefined,
          onEvent: () => undefined,
          onProblem: () => undefined,
          onState: ({ connected }) => {
            if (!connected) resolve(undefined)
          },
        },
      })
      watcher.start()
    })
  } finally {
    clearTimeout(timer)
    await watcher?.stop()
  }
}
