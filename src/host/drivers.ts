import { ConntrackDriver } from '../targets/conntrack/driver.ts'
import { IpsetDriver } from '../targets/ipset/driver.ts'
import { IptablesDriver } from '../targets/iptables/driver.ts'
import { BackstopDriver } from '../targets/backstop/driver.ts'
import { BindingsDriver } from '../targets/bindings/driver.ts'
import { HostNetworkDriver } from '../targets/host-network/driver.ts'
import type { OwnedTable } from '../targets/backstop/owned-table.ts'
import type { Run } from '../system/exec.ts'

export interface HostDrivers {
  readonly ipset: IpsetDriver
  readonly iptables: IptablesDriver
  readonly backstop: BackstopDriver
  readonly bindings: BindingsDriver
  readonly hostNetwork: HostNetworkDriver
  readonly conntrack: ConntrackDriver
  /** Only the daemon has one. */
  readonly ownedTable?: OwnedTable
}

/** A driver for each target in the kernel. */
export const createDrivers = (run: Run): HostDrivers => ({
  ipset: new IpsetDriver(run),
  iptables: new IptablesDriver(run),
  backstop: new BackstopDriver(run),
  bindings: new BindingsDriver(run),
  hostNetwork: new HostNetworkDriver(run),
  conntrack: new ConntrackDriver(run),
})
