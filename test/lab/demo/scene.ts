import type { LabContainer } from '../container.ts'
import type { Lab } from '../lab.ts'
import type { GuardedHost } from './guarded-host.ts'
import type { Screen } from './screen.ts'

export interface Scene {
  readonly lab: Lab
  readonly host: GuardedHost
  readonly screen: Screen
  /** In the default network. */
  readonly web: LabContainer
  /** In a network of an application, with IPv6. */
  readonly shop: LabContainer
}

/** No list allows them. */
export const STRANGER = '203.0.113.66'
export const STRANGER6 = '2001:db8:f::66'
