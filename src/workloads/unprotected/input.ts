import type { HostInterface } from '../../system/host.ts'
import type { InterfacePlan } from '../guarded.ts'
import type { Engine, Inventory } from '../model.ts'

export interface UnprotectedInput {
  /** Undefined while the engine has not answered. */
  readonly inventory: Inventory | undefined
  readonly engine: Engine | undefined
  readonly interfaces: readonly HostInterface[]
  readonly plan: InterfacePlan
  readonly config: {
    readonly docker: { readonly socket: string }
    readonly guard: { readonly inbound: 'published' | 'any' }
    readonly smtp: MailLimit | undefined
    readonly policies: readonly { readonly id: string; readonly smtp: MailLimit | undefined }[]
  }
  /** Does the backstop stand behind the rules? */
  readonly secondGuard: boolean
  /** Do both guards stand, and did the last proof on each network pass? */
  readonly proven: boolean
  /** Does our own DNS gateway answer the containers' look-ups? */
  readonly dnsGateway: boolean
  /** Networks for whose containers the engine asks, past that gateway. */
  readonly askedByEngine: readonly string[]
  /** Networks on which containers of different rights live. */
  readonly mixedNetworks: readonly string[]
  /** Policies that let their containers reach nearly every address, with the entries that do so. */
  readonly openPolicies: readonly { readonly policy: string; readonly entries: readonly string[] }[]
  /** Undefined: `guard.hostNetwork` is false. */
  readonly hostNetwork: HostNetworkState | undefined
}

interface MailLimit {
  readonly destinations: 'allowed' | 'any'
}

/** Which containers on the host's network have the rights of their policies there. */
export interface HostNetworkState {
  readonly held: ReadonlySet<string>
  /** Those that do not, by id, with the reason. */
  readonly unheld: ReadonlyMap<string, string>
  /** Why no container does. */
  readonly problem: string | undefined
}
