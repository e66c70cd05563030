import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import type { Config, Problem } from '../config/model.ts'
import { askEngine } from '../workloads/docker/ask-engine.ts'
import { HostView } from '../host/host-view.ts'
import { restoreState, type RestoredState } from '../state/restore-state.ts'
import { StateStore } from '../state/state-store.ts'
import type { Run } from '../system/exec.ts'

/** Everything that can be known while no daemon runs: the config, what an earlier daemon saved, and what the engine says. */
export interface OfflineState extends RestoredState {
  readonly config: Config
  readonly host: HostView
}

/** The config was refused. */
export class RefusedConfigError extends Error {
  override readonly name = 'RefusedConfigError'
  constructor(
    file: string,
    readonly problems: readonly Problem[],
  ) {
    super(`${file} is refused: embargod check --config ${file} says why`)
  }
}

/** @throws RefusedConfigError */
export async function readOfflineState(configFile: string, run: Run, nowMs: number): Promise<OfflineState> {
  const { config, problems } = await loadConfig(configFile, hostConfigEnv)
  if (!config) throw new RefusedConfigError(configFile, problems)
  return offlineStateOf(config, run, nowMs)
}

export async function offlineStateOf(config: Config, run: Run, nowMs: number): Promise<OfflineState> {
  const host = new HostView(run)
  const [engine] = await Promise.all([askEngine(config.docker.socket), host.links.read()])
  if (engine) host.setInventory(engine.inventory, engine.engine, nowMs)
  await host.engineConfig.read(config, true)
  const state = new StateStore(config.state)
  const restored = await restoreState({
    config,
    read: (name, format) => state.peek(name, format),
    nowMs,
    isHostAddress: host.isHostAddress,
  })
  return { config, host, ...restored }
}
