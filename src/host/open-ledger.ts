import type { Config } from '../config/model.ts'
import { parseAddress } from '../net/address.ts'
import { classify } from '../net/ranges.ts'
import type { Policies } from '../policy/model.ts'
import { Ledger } from '../resolve/ledger.ts'
import type { LedgerLimits } from '../resolve/model.ts'

/** A ledger that knows the names and patterns of a policy, and no address yet. */
export function openLedger(config: Config, policies: Policies): Ledger {
  const ledger = new Ledger({ limits: limitsOf(config), classify, parseAddress })
  ledger.configure(new Map([...policies.names, ...policies.patterns]))
  return ledger
}

export const limitsOf = ({ resolver, dns }: Config): LedgerLimits => ({
  refreshMaxMs: resolver.refresh.maxMs,
  promiseMaxMs: dns.gateway ? dns.maxTtlMs : 0,
  retainMs: resolver.retainMs,
  maxAddressesPerName: resolver.maxAddressesPerName,
})
