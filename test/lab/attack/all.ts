import type { Attack } from './attack.ts'
import { BRIDGED } from './bridged.ts'
import { ENCAPSULATED } from './encapsulated.ts'
import { FUZZ } from './fuzz.ts'
import { RELATED } from './related.ts'
import { REPLY_TUNNELS } from './reply-tunnel.ts'
import { RESERVED } from './reserved.ts'
import { REUSED_BRIDGE } from './reused-bridge.ts'
import { SECOND_DOORS } from './second-door.ts'

export const ATTACKS: readonly Attack[] = [
  ...RESERVED,
  FUZZ,
  ...BRIDGED,
  ...RELATED,
  ...REPLY_TUNNELS,
  REUSED_BRIDGE,
  ...ENCAPSULATED,
  ...SECOND_DOORS,
]
