import type { Attack } from './attack.ts'
import { BRIDGED } from './bridged.ts'
import { RELATED } from './related.ts'
import { RESERVED } from './reserved.ts'

export const ATTACKS: readonly Attack[] = [...RESERVED, ...BRIDGED, ...RELATED]
