import type { Engine, Inventory, Network } from '../model.ts'

/** What a connection to the engine finds. It is given synchronously: record and request, do not work on it at once. */
export type SessionUpdate =
  /** Everything there is: after each listing, and whenever events changed something of it. */
  | {
      readonly kind: 'inventory'
      readonly inventory: Inventory
      readonly engine: Engine
      /** When the latest full listing began, epoch milliseconds: what came into being before and is not in it is not the engine's. */
      readonly listedAtMs: number
    }
  /**
   * A network that was not known before, as soon as it is: ahead of the inventory that holds it. It never comes before the connection's first
   * inventory: a few networks that are taken for all of them would have the bridges of the others opened.
   */
  | { readonly kind: 'network'; readonly network: Network }
  | { readonly kind: 'event'; readonly type: string; readonly action: string }
  /** Something of the engine's was not understood. */
  | { readonly kind: 'problem'; readonly sentence: string }

/** An engine that is not there is a state, not a failure; `error` says why, for people. */
export interface DockerState {
  readonly connected: boolean
  readonly error: string | undefined
}

export type DockerUpdate =
  | SessionUpdate
  /** Whenever the state changes. The first one says how the first attempt went. */
  | { readonly kind: 'state'; readonly state: DockerState }
