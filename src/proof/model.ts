import type { Address, Family } from '../net/types.ts'

/** What a probe goes to. */
export interface ProbeTarget {
  readonly destination: Address
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

/** A guarded network that a proof can be made on. */
export interface ProofPlace {
  /** As the engine names it: hostile text. */
  readonly network: string
  readonly bridge: string
  readonly kind: PlaceKind
  /** An address a family that nobody has there, to send from. */
  readonly sources: readonly Address[]
  /** The bridge's own addresses. */
  readonly gateways: readonly Address[]
}

/** The default bridge, one that the engine named, one that a person named: rules find each in a way of its own. */
export type PlaceKind = 'default' | 'generated' | 'named'

/** What is tried on one network in one family. */
export interface ProofTrial {
  readonly place: ProofPlace
  readonly family: Family
  readonly source: Address
  /** Undefined: nothing is forbidden there. */
  readonly forbidden: ProbeTarget | undefined
  /** Undefined: nothing is allowed there. */
  readonly allowed: ProbeTarget | undefined
}

/** What came of one thing that was tried. */
export interface ProofFinding {
  readonly network: string
  readonly what: string
  readonly passed: boolean
  /** What was seen; of what was skipped, why. */
  readonly detail: string
  /** It was not tried, so it is neither proven nor wrong. */
  readonly skipped?: true
  /** What is wrong, in words that are the same as long as it is. Undefined: it passed. */
  readonly problem: string | undefined
}
