import { ConntrackDriver } from '../conntrack/driver.ts'
import { IpsetDriver } from '../ipset/driver.ts'
import { IptablesDriver } from '../iptables/driver.ts'
import { BackstopDriver } from '../nftables/backstop.ts'
import { BindingsDriver } from '../nftables/bindings-driver.ts'
import { HostNetworkDriver } from '../nftables/host-network-driver.ts'
import type { OwnedTable } from '../nftables/owned-table.ts'
import type { Run } from '../system/exec.ts'

export interface HostDrivers {
  readonly ipset: IpsetDriver
  readonly iptables: IptablesDriver
  readonly backstop: BackstopDriver
  readonly bindings: BindingsDriver
  readonly hostNetwork: HostNetworkDriver
  readonly conntrack: ConntrackDriver
  /** The daemon's alone. */
  readonly ownedTable?: OwnedTable
}

/** One of each tool of this host. */
export const createDrivers = (run: Run): HostDrivers => ({
  ipset: new IpsetDriver(run),
  iptables: new IptablesDriver(run),
  backstop: new BackstopDriver(run),
  bindings: new BindingsDriver(run),
  hostNetwork: new HostNetworkDriver(run),
  conntrack: new ConntrackDriver(run),
})
