import type { Attack } from './attack.ts'
import { RESERVED } from './reserved.ts'

export const ATTACKS: readonly Attack[] = [...RESERVED]
