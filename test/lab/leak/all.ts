import { CLOCK } from './clock.ts'
import { DAEMON } from './daemon.ts'
import type { Disturbance } from './disturbance.ts'
import { ENGINE } from './engine.ts'
import { HOSTS } from './hosts.ts'
import { NETWORKS } from './networks.ts'
import { RULES } from './rules.ts'
import { SETS } from './sets.ts'

/** In the order in which they are done; each leaves the host as it was. */
export const DISTURBANCES: readonly Disturbance[] = [
  ...NETWORKS,
  ...RULES,
  ...SETS,
  ...ENGINE,
  ...DAEMON,
  ...HOSTS,
  ...CLOCK,
]
