import { BackstopKeeper } from '../targets/backstop/keeper.ts'
import type { BackstopDriver } from '../targets/backstop/driver.ts'
import type { OwnedTable } from '../targets/backstop/owned-table.ts'
import type { BindingsDriver } from '../targets/bindings/driver.ts'
import { BindingsKeeper } from '../targets/bindings/keeper.ts'
import { BridgesKeeper } from '../targets/bridges/keeper.ts'
import type { HostNetworkDriver } from '../targets/host-network/driver.ts'
import { HostNetworkKeeper } from '../targets/host-network/keeper.ts'
import type { IpsetDriver } from '../targets/ipset/driver.ts'
import { SetsKeeper } from '../targets/ipset/keeper.ts'
import type { Additions } from '../targets/ipset/render.ts'
import type { IptablesDriver } from '../targets/iptables/driver.ts'
import { RulesKeeper } from '../targets/iptables/keeper.ts'
import type { Phase } from '../targets/keeper.ts'

export interface Drivers {
  readonly ipset: IpsetDriver
  readonly iptables: IptablesDriver
  readonly backstop: BackstopDriver
  readonly bindings: BindingsDriver
  readonly hostNetwork: HostNetworkDriver
  /** The daemon's alone: its table ends with the process. */
  readonly ownedTable?: OwnedTable
  /** Has bridges learn nothing from frames that they do not forward. Absent: only looked at. */
  readonly stopLearning?: (bridges: readonly string[]) => Promise<void>
  /** How the fast path writes; resolves when the kernel has the elements. Absent: by the same tool as a pass. */
  readonly writeAtOnce?: (additions: readonly Additions[]) => Promise<void>
}

/**
 * One keeper for each target in the kernel, in the order in which `plan` and the log list their changes.
 * @param onBound containers may have rights in the kernel that they did not have before
 */
export const createKeepers = (drivers: Drivers, onBound?: () => void) => ({
  sets: new SetsKeeper(drivers.ipset, drivers.writeAtOnce),
  rules: new RulesKeeper(drivers.iptables),
  backstop: new BackstopKeeper(drivers.backstop, drivers.ownedTable),
  bindings: new BindingsKeeper(drivers.bindings, onBound),
  hostNetwork: new HostNetworkKeeper(drivers.hostNetwork),
  bridges: new BridgesKeeper(drivers.stopLearning),
})

export type Keepers = ReturnType<typeof createKeepers>
export type TargetName = keyof Keepers

/** What each keeper would write. */
export type Changes = { readonly [Name in TargetName]: ReturnType<Keepers[Name]['plan']> }

/**
 * The order in which a change is written. A write that fails ends the pass there (those of the backstop and, after the rules, of the bindings and
 * the host's network do not reject), so at each step the host must be as closed as before the pass or as after it.
 */
export const ORDER: readonly (readonly [TargetName, Phase])[] = [
  // Where there is no backstop yet it comes first: should the rest fail, the host is closed and not open. While the generation changes
  // it first takes the old and the new one, or flows of one of them would stall until the last step.
  ['backstop', 'before rules'],
  // Class numbers in other bits would be the rights of another class under the new rules, so such a table goes first.
  ['bindings', 'before rules'],
  // In the same way the new rules would not understand marks in other bits, so that table drops until it is written anew.
  ['hostNetwork', 'before rules'],
  // The kernel refuses rules that name a set that does not exist. What is added is there before a rule relies on it, among it the
  // flows that linger or are revoked.
  ['sets', 'before rules'],
  // Each table is replaced whole, the verdicts first, in both families.
  ['rules', 'rules'],
  // The kernel refuses to destroy a set that a rule names. Elements are deleted only when no rule allows anything by them that is not
  // to be allowed, and after those that replace them were added.
  ['sets', 'after rules'],
  // Rights are given to ports only when the chains of these rights exist.
  ['bindings', 'after rules'],
  ['hostNetwork', 'after rules'],
  // Bridges with bindings learn addresses only from frames that the bindings see.
  ['bridges', 'after rules'],
  // Only now does the backstop stop accepting the old generation: no rule of it is left, and the new ones have admitted what they allow.
  ['backstop', 'after rules'],
]
