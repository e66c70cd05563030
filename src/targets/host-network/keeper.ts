import type { MarkLayout } from '../../config/marks.ts'
import type { HostGroup } from '../../dataplane/model.ts'
import {
  digestOf,
  hostNetworkInSync,
  layoutOf,
  removeHostNetwork,
  renderHostNetwork,
} from './host-network.ts'
import type { HostNetworkDriver } from './driver.ts'
import { ToolError } from '../../system/exec.ts'
import { errorMessage } from '../../system/errors.ts'

/** What has to be written so that the table is as desired, and what it holds then. */
export interface HostNetworkChange {
  readonly text: string
  /** To be written ahead of the rules: what stands marks by other bits, and new rules would not know whom it means. Until the text follows, it drops. */
  readonly first: string | undefined
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
  /** What stands marks by other bits. */
  #isOtherLayout = false
  /** What stands, as far as it can be read. */
  #found: readonly HostGroup[] = []
  #marks: MarkLayout | undefined
  #looked = false
  #problem: string | undefined

  constructor(private readonly driver: HostNetworkDriver) {}

  /** Why nobody is held; undefined: they are, or need not be. */
  get problem(): string | undefined {
    return this.#problem
  }

  async plan(
    wanted: DesiredGroups,
    look: boolean,
    marks: MarkLayout,
  ): Promise<HostNetworkChange | undefined> {
    const isMoved = this.#marks === undefined || JSON.stringify(this.#marks) !== JSON.stringify(marks)
    if (wanted === 'kept' && this.#looked && !isMoved && !this.#isOtherLayout) return undefined
    const before = isMoved ? undefined : this.#known
    this.#known = before
    this.#marks = marks
    if (isMoved || !this.#looked || (look && (wanted !== undefined || before !== undefined)))
      await this.#look(wanted === 'kept' ? undefined : wanted, marks)
    // By other bits nobody would be known, so that what stands is written by those that count now.
    if (wanted === 'kept' && !this.#isOtherLayout) return undefined
    const desired = wanted === 'kept' ? this.#found : wanted
    const isDrift = before !== undefined && this.#known === undefined
    if (desired === undefined) {
      this.#problem = undefined
      return this.#stands
        ? {
            text: `${removeHostNetwork}\n`,
            first: undefined,
            summary: 'remove the host network table',
            groups: undefined,
            isDrift,
          }
        : undefined
    }
    if (this.#known !== undefined && digestOf(this.#known) === digestOf(desired)) return undefined
    const summary = `write the host network table (${desired.length} groups)`
    const first = this.#isOtherLayout ? renderHostNetwork(desired, marks, true) : undefined
    return { text: renderHostNetwork(desired, marks), first, summary, groups: desired, isDrift }
  }

  /** Ahead of the rules. Rejects: under new rules nobody would be held by what stands. */
  async prepare({ first }: HostNetworkChange): Promise<void> {
    if (first !== undefined) await this.driver.write(first)
  }

  /** Never rejects: the rules stand without it, and who is not held is said. */
  async apply({ text, groups }: HostNetworkChange): Promise<void> {
    try {
      await this.driver.write(text)
      this.#known = groups
      this.#stands = groups !== undefined
      this.#isOtherLayout = false
      this.#problem = undefined
    } catch (error) {
      this.#looked = false
      this.#known = undefined
      this.#problem = errorMessage(error)
    }
  }

  async #look(desired: readonly HostGroup[] | undefined, marks: MarkLayout): Promise<void> {
    const saved = await this.driver.read().catch((error: unknown) => {
      // A host without the tool, or without the kernel's part of it, has no table; half an answer is none at all.
      if (!(error instanceof ToolError)) throw error
      return undefined
    })
    this.#looked = true
    this.#stands = saved !== undefined
    this.#isOtherLayout = [...(saved?.layouts ?? [])].some((one) => one !== layoutOf(marks))
    this.#found = [...(saved?.classes ?? [])].map(([path, id]) => ({ path, inode: 0, class: id }))
    const expected = this.#known ?? desired
    this.#known = saved && expected && hostNetworkInSync(saved, expected, marks) ? expected : undefined
  }
}
