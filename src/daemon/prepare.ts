import { setTimeout as sleep } from 'node:timers/promises'
import type { HostView } from '../host/host-view.ts'
import { restoreState, type LeftOut, type RestoredState } from '../state/restore-state.ts'
import { errorMessage } from '../system/errors.ts'
import type { Beginnings } from './compose.ts'
import type { Core } from './core.ts'

/** Without the interfaces nothing can be decided, so a tool that fails is asked again. Until then the host stays as it is. */
export async function readInterfaces({ health }: Core, host: HostView, stop: AbortSignal): Promise<void> {
  for (let waitMs = 100; !stop.aborted; waitMs = Math.min(2 * waitMs, 2_000)) {
    try {
      await host.links.read()
      health.set('interfaces', undefined)
      return
    } catch (error) {
      health.set('interfaces', errorMessage(error))
      await sleep(waitMs, undefined, { signal: stop }).catch(() => undefined)
    }
  }
}

/** What an earlier process left. What cannot be used is left out, and logged. */
export async function restore({ core, access, config, store }: Beginnings): Promise<RestoredState> {
  const restored = await restoreState({
    config,
    read: (name, format) => store.load(name, format),
    nowMs: Date.now(),
    isHostAddress: access.view.isHostAddress,
  })
  for (const one of restored.leftOut) logLeftOut(core, one)
  restored.addressStore.takeChanged()
  if (restored.counters) core.telemetry.restore(restored.counters)
  return restored
}

function logLeftOut({ log }: Core, one: LeftOut): void {
  if (one.kind === 'temporary')
    log.warn({ err: one.error, entry: one.entry }, 'a temporary entry is no longer valid')
  else log.error({ err: one.error }, 'saved addresses could not be used')
}

/** Those that the second guard lets pass. None where it is missing or cannot be read: then the saved one is all that is known. */
export async function generationsInForce({ core, access }: Beginnings): Promise<readonly number[]> {
  try {
    return (await access.drivers.backstop.read())?.generations ?? []
  } catch (error) {
    core.log.warn({ err: error }, 'the generation of live connections could not be read from the kernel')
    return []
  }
}
