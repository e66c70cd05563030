import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import type { Config, Problem } from '../config/model.ts'
import { compile } from '../policy/compile.ts'
import type { Policies } from '../policy/model.ts'
import type { AddressStore } from '../resolve/address-store.ts'
import type { Run } from '../system/exec.ts'
import { openAddressStore } from './open-address-store.ts'
import { StateStore } from '../system/state.ts'
import { askEngine } from './engine-once.ts'
import { HostView } from './host-view.ts'
import * as saved from './saved.ts'
import { loadMarks, type Marks } from './saved-marks.ts'
import { TemporaryAllows } from './temporary.ts'

/** Everything that can be known without a daemon: the config, what an earlier daemon left in its state, and what the engine says. */
export interface OfflineState extends Marks {
  readonly config: Config
  readonly policies: Policies
  readonly addressStore: AddressStore
  readonly host: HostView
  readonly temporary: TemporaryAllows
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
  const [engine] = await Promise.all([askEngine(config.docker.socket), host.readInterfaces()])
  if (engine) host.setInventory(engine.inventory, engine.engine, nowMs)
  await host.readResolvers(config, true)
  const state = new StateStore(config.state)
  const temporary = new TemporaryAllows()
  for (const { entry, untilMs } of (await state.peek('temporary', saved.savedTemporary)) ?? []) {
    // As the daemon restores it.
    if (untilMs > nowMs) temporary.add(entry, untilMs, true)
  }
  const policies = compile(config, temporary.entries(), nowMs)
  const addressStore = openAddressStore(config, policies)
  const addresses = await state.peek('addresses', saved.savedAddresses)
  if (addresses !== undefined) addressStore.restore(addresses, nowMs, host.isHostAddress)
  const peek: StateStore['peek'] = (name, format) => state.peek(name, format)
  const marks = await loadMarks(peek, config.policies, policies.digest)
  return { config, policies, addressStore, host, ...marks, temporary }
}
