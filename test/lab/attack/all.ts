import type { Attack } from './attack.ts'
import { BREAK_GLASS } from './break-glass.ts'
import { BRIDGED } from './bridged.ts'
import { ENCAPSULATED } from './encapsulated.ts'
import { FAKE_ENGINE } from './fake-engine.ts'
import { FUZZ } from './fuzz.ts'
import { HOST_NETWORK } from './host-network.ts'
import { NAMES } from './names.ts'
import { RELATED } from './related.ts'
import { REPLY_TUNNELS } from './reply-tunnel.ts'
import { RESERVED } from './reserved.ts'
import { REUSED_BRIDGE } from './reused-bridge.ts'
import { SECOND_DOORS } from './second-door.ts'

export const ATTACKS: readonly Attack[] = [
  ...RESERVED,
  ...FUZZ,
  ...BRIDGED,
  ...RELATED,
  ...REPLY_TUNNELS,
  REUSED_BRIDGE,
  ...ENCAPSULATED,
  ...SECOND_DOORS,
  FAKE_ENGINE,
  ...BREAK_GLASS,
  ...NAMES,
  ...HOST_NETWORK,
]
