import { marksOf } from '../config/marks.ts'
import type { Config } from '../config/model.ts'
import type { ClassNumbers } from '../policy/class-numbers.ts'
import type { Policies } from '../policy/model.ts'
import { Desired } from '../reconcile/desired.ts'
import { wantsHold } from '../reconcile/host-facts.ts'
import { nextGeneration, type Generation } from '../reconcile/generation.ts'
import { createKeepers } from '../reconcile/keepers.ts'
import { Reconciler, summaryOf } from '../reconcile/reconciler.ts'
import { PARTS } from '../targets/keeper.ts'
import type { AddressStore } from '../resolve/address-store.ts'
import type { HostDrivers } from './drivers.ts'
import type { HostView } from './host-view.ts'
import { libcOrWhyNot } from '../system/libc.ts'

/** What a first pass with this config would write, one line for each change. Reads everything from the kernel and writes nothing. */
export async function planChange(
  {
    config,
    policies,
    addressStore,
    host,
    generation,
    classNumbers,
  }: {
    readonly config: Config
    readonly policies: Policies
    readonly addressStore: Pick<AddressStore, 'liveAddresses'>
    readonly host: HostView
    readonly generation: Generation
    readonly classNumbers: ClassNumbers
  },
  drivers: HostDrivers,
  nowMs: number,
): Promise<readonly string[]> {
  const hostFacts = await host.hostFacts(config, classNumbers, (await drivers.bindings.look()).canBind)
  const desired = new Desired({
    config,
    policies,
    hostFacts,
    generation: nextGeneration(generation, policies.digest, marksOf(config)).generation,
    liveAddresses: (name) => addressStore.liveAddresses(name),
  })
  desired.setStartHold(wantsHold(config, hostFacts) && !(libcOrWhyNot() instanceof Error))
  const scope = { parts: new Set(PARTS), headers: true, read: [], everything: true }
  const { changes } = await new Reconciler(createKeepers(drivers)).plan(desired.stateFor(), scope, nowMs)
  return summaryOf(changes)
}
