import type { Config } from '../config/model.ts'
import { compile } from '../policy/compile.ts'
import type { Policies } from '../policy/model.ts'
import type { CountersSnapshot } from '../reconcile/counters.ts'
import type { AddressStore } from '../resolve/address-store.ts'
import type { IsHostAddress } from '../resolve/model.ts'
import { savedAddresses, savedCounters, savedTemporary } from './formats.ts'
import { openAddressStore } from './open-address-store.ts'
import { loadMarks, type SavedMarks } from './saved-marks.ts'
import type { ReadState } from './state-store.ts'
import { TemporaryAllows } from './temporary.ts'

export interface RestoreOptions {
  readonly config: Config
  /** The daemon gives one that moves a damaged file aside and reports it. A command that only looks gives one that leaves every file where it is. */
  readonly read: ReadState
  readonly nowMs: number
  /** A saved address that the host itself has now is not restored. */
  readonly isHostAddress?: IsHostAddress
  /** The saved entries are added to it. Default: a new one. */
  readonly temporary?: TemporaryAllows
}

/** What an earlier process saved, as far as this config still wants it. */
export interface RestoredState extends SavedMarks {
  /** Without the entries that have ended. */
  readonly temporary: TemporaryAllows
  /** The config compiled with the temporary entries. */
  readonly policies: Policies
  /** Knows the names of `policies` and the addresses that were saved for them. */
  readonly addressStore: AddressStore
  readonly counters: CountersSnapshot | undefined
  /** What was saved and is left out. */
  readonly leftOut: readonly LeftOut[]
}

export type LeftOut =
  /** An earlier version took this text for an entry. */
  | { readonly kind: 'temporary'; readonly entry: string; readonly error: unknown }
  | { readonly kind: 'addresses'; readonly error: unknown }

/** Puts together what the daemon starts with, and what a command shows while no daemon runs. Writes nothing by itself. */
export async function restoreState(options: RestoreOptions): Promise<RestoredState> {
  const { config, read, nowMs, isHostAddress, temporary = new TemporaryAllows() } = options
  const leftOut: LeftOut[] = []
  for (const { entry, untilMs } of (await read('temporary', savedTemporary)) ?? []) {
    try {
      // It was judged when it was added. A wildcard without a gateway allows nothing, so the config of today is not asked.
      if (untilMs > nowMs) temporary.add(entry, untilMs, true)
    } catch (error) {
      leftOut.push({ kind: 'temporary', entry, error })
    }
  }
  const policies = compile(config, temporary.entries(), nowMs)
  const addressStore = openAddressStore(config, policies)
  const addresses = await read('addresses', savedAddresses)
  try {
    if (addresses !== undefined) addressStore.restore(addresses, nowMs, isHostAddress)
  } catch (error) {
    leftOut.push({ kind: 'addresses', error })
  }
  const counters = await read('counters', savedCounters)
  const marks = await loadMarks(read, config.policies, policies.digest)
  return { temporary, policies, addressStore, counters, ...marks, leftOut }
}
