import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import type { CallDaemon } from '../control/client.ts'
import type { Address } from '../net/types.ts'
import type { AddressOwner } from '../resolve/model.ts'
import { restoreState } from '../state/restore-state.ts'
import { StateStore } from '../state/state-store.ts'

/** Which allowed names have this address or had it lately: as the daemon knows it, else as it was saved. */
export async function addressOwnersOf(
  address: Address,
  ask: CallDaemon,
  configFile: string,
): Promise<readonly AddressOwner[]> {
  const known = await ask<readonly AddressOwner[]>('belongings', { address })
  if (known) return known
  const { config } = await loadConfig(configFile, hostConfigEnv)
  if (!config) return []
  const state = new StateStore(config.state)
  const { addressStore } = await restoreState({
    config,
    read: (name, format) => state.peek(name, format),
    nowMs: Date.now(),
  })
  return addressStore.belongings(address)
}

/** The owner in words, for somebody who asks why an address is denied that was allowed an hour ago, or is allowed in another way. */
export function addressOwnerText({ name, seenAtMs, leftAtMs, now }: AddressOwner): string {
  if (leftAtMs === undefined)
    return `it is an address of ${name}, which is allowed with other ports or to other containers`
  const times =
    leftAtMs === 0 ? '' : ` until ${timeText(seenAtMs ?? 0)}, and was kept until ${timeText(leftAtMs)}`
  return `it belonged to ${name}${times}; the name now has ${now.join(', ') || 'no address'}`
}

const timeText = (ms: number): string => new Date(ms).toISOString()
