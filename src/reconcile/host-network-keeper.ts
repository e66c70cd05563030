import type { HostGroup } from '../dataplane/model.ts'
import {
  digestOf,
  hostNetworkInSync,
  removeHostNetwork,
  renderHostNetwork,
} from '../nftables/host-network.ts'
import type { HostNetworkDriver } from '../nftables/host-network-driver.ts'
import { ToolError } from '../system/exec.ts'

/** What has to be written so that the table is as desired, and what it holds then. */
export interface HostNetworkChange {
  readonly text: string
  readonly summary: string
  readonly groups: readonly HostGroup[] | undefined
  /** Somebody else changed the table since it was written. */
  readonly isDrift: boolean
}

/** What the table has to hold; undefined: there is to be none; `kept`: nothing is known, so it stays as it is. */
export type DesiredGroups = readonly HostGroup[] | 'kept' | undefined

/** Keeps the table that marks what containers on the host's network send. Between looks it is believed to be what was written last. */
export class HostNetworkKeeper {
  /** What the table holds as far as is known; undefined: there is none, or it is not as it was written. */
  #known: readonly HostGroup[] | undefined
  #stands = false
  #looked = false
  #problem: string | undefined

  constructor(private readonly driver: HostNetworkDriver) {}

  /** Why nobody is held; undefined: they are, or need not be. */
  get problem(): string | undefined {
    return this.#problem
  }

  async plan(desired: DesiredGroups, look: boolean): Promise<HostNetworkChange | undefined> {
    if (desired === 'kept') return undefined
    const before = this.#known
    if (!this.#looked || (look && (desired !== undefined || before !== undefined))) await this.#look(desired)
    const isDrift = before !== undefined && this.#known === undefined
    if (desired === undefined) {
      this.#problem = undefined
      return this.#stands
        ? {
            text: `${removeHostNetwork}\n`,
            summary: 'remove the host network table',
            groups: undefined,
            isDrift,
          }
        : undefined
    }
    if (this.#known !== undefined && digestOf(this.#known) === digestOf(desired)) return undefined
    const summary = `write the host network table (${desired.length} groups)`
    return { text: renderHostNetwork(desired), summary, groups: desired, isDrift }
  }

  /** Never rejects: the rules stand without it, and who is not held is said. */
  async apply({ text, groups }: HostNetworkChange): Promise<void> {
    try {
      await this.driver.write(text)
      this.#known = groups
      this.#stands = groups !== undefined
      this.#problem = undefined
    } catch (error) {
      this.#looked = false
      this.#known = undefined
      this.#problem = error instanceof Error ? error.message : String(error)
    }
  }

  async #look(desired: readonly HostGroup[] | undefined): Promise<void> {
    const saved = await this.driver.read().catch((error: unknown) => {
      // A host without the tool, or without the kernel's part of it, has no table; half an answer is none at all.
      if (!(error instanceof ToolError)) throw error
      return undefined
    })
    this.#looked = true
    this.#stands = saved !== undefined
    const expected = this.#known ?? desired
    this.#known = saved && expected && hostNetworkInSync(saved, expected) ? expected : undefined
  }
}
