import { onTestFinished } from 'vitest'
import type { ContainerOptions, LabContainer } from './container.ts'
import type { Daemon, DaemonOptions } from './embargod.ts'
import type { Lab } from './lab.ts'

/** Starts the daemon; it is killed when the test ends, also a failed one, so that no later test meets it. */
export async function guard(lab: Lab, options: DaemonOptions): Promise<Daemon> {
  const daemon = await lab.daemon({ ...options, wait: false })
  onTestFinished(async () => {
    await daemon.kill()
  })
  if (options.wait !== false) await daemon.ready()
  return daemon
}

/** Starts a container; it is gone when the test ends. */
export async function inside(lab: Lab, options: ContainerOptions = {}): Promise<LabContainer> {
  const container = await lab.container(options)
  onTestFinished(() => container.stop())
  return container
}
