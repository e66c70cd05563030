import type { MarkLayout } from '../../config/marks.ts'
import type { HostGroup } from '../../dataplane/model.ts'
import {
  digestOf,
  hostNetworkInSync,
  layoutOf,
  removeHostNetwork,
  renderHostNetwork,
} from './host-network.ts'
import type { DesiredState, DriftKind, Keeper, Phase, Scope, TargetChange } from '../keeper.ts'
import type { HostNetworkDriver } from './driver.ts'
import { ToolError } from '../../system/exec.ts'
import { errorMessage } from '../../system/errors.ts'

export interface HostNetworkChange extends TargetChange {
  readonly text: string
  /**
   * To be written before the rules: the table in the kernel marks by other bits, which the new rules would not understand. This one drops
   * until the text follows.
   */
  readonly first: string | undefined
  /** What the table holds then. */
  readonly groups: readonly HostGroup[] | undefined
}

/** Keeps the table that marks packets of containers on the host's network. Between looks it is believed to be what was written last. */
export class HostNetworkKeeper implements Keeper<HostNetworkChange> {
  /** The groups that the table is known to hold; undefined: there is no table, or it is not as it was written. */
  #known: readonly HostGroup[] | undefined
  /** What was known of it before the last look. */
  #before: readonly HostGroup[] | undefined
  #exists = false
  /** The table in the kernel marks by other bits. */
  #isOtherLayout = false
  /** The groups in the kernel's table, as far as they can be read. */
  #found: readonly HostGroup[] = []
  #marks: MarkLayout | undefined
  #looked = false
  #problem: string | undefined

  constructor(private readonly driver: HostNetworkDriver) {}

  /** Why containers on the host's network are not guarded; undefined: they are, or need not be. */
  get problem(): string | undefined {
    return this.#problem
  }

  async look(
    { hostGroups: wanted, marks }: Pick<DesiredState, 'hostGroups' | 'marks'>,
    { parts }: Pick<Scope, 'parts'>,
  ): Promise<void> {
    const isMoved = this.#marks === undefined || JSON.stringify(this.#marks) !== JSON.stringify(marks)
    if (wanted === 'kept' && this.#looked && !isMoved && !this.#isOtherLayout) return
    if (isMoved) this.#known = undefined
    this.#before = this.#known
    this.#marks = marks
    const isToBeRead = parts.has('host-network') && (wanted !== undefined || this.#before !== undefined)
    if (isMoved || !this.#looked || isToBeRead)
      await this.#look(wanted === 'kept' ? undefined : wanted, marks)
  }

  plan({
    hostGroups: wanted,
    marks,
  }: Pick<DesiredState, 'hostGroups' | 'marks'>): HostNetworkChange | undefined {
    // By other bits the rules would know nobody, so what is in the table is written by those that count now.
    if (wanted === 'kept' && !this.#isOtherLayout) return undefined
    const desired = wanted === 'kept' ? this.#found : wanted
    const isDrift = this.#before !== undefined && this.#known === undefined
    const drift: DriftKind[] = isDrift ? ['host-network'] : []
    if (desired === undefined) {
      this.#problem = undefined
      return this.#exists ? { ...REMOVAL, drift } : undefined
    }
    if (this.#known !== undefined && digestOf(this.#known) === digestOf(desired)) return undefined
    const summary = [`write the host network table (${desired.length} groups)`]
    const first = this.#isOtherLayout ? renderHostNetwork(desired, marks, true) : undefined
    return { text: renderHostNetwork(desired, marks), first, summary, groups: desired, drift }
  }

  /**
   * Rejects before the rules only: the new rules would not understand the marks of the table in the kernel. After them a failure is the
   * {@link problem}, since the rules are right without the table.
   */
  async apply({ text, first, groups }: HostNetworkChange, phases: readonly Phase[]): Promise<void> {
    if (phases.includes('before rules') && first !== undefined) await this.driver.write(first)
    if (!phases.includes('after rules')) return
    try {
      await this.driver.write(text)
      this.#known = groups
      this.#exists = groups !== undefined
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
      // A host without the tool, or without its part in the kernel, has no table. A listing that is cut off fails the pass.
      if (!(error instanceof ToolError)) throw error
      return undefined
    })
    this.#looked = true
    this.#exists = saved !== undefined
    this.#isOtherLayout = [...(saved?.layouts ?? [])].some((one) => one !== layoutOf(marks))
    this.#found = [...(saved?.classes ?? [])].map(([path, id]) => ({ path, inode: 0, class: id }))
    const expected = this.#known ?? desired
    this.#known = saved && expected && hostNetworkInSync(saved, expected, marks) ? expected : undefined
  }
}

const REMOVAL = {
  text: `${removeHostNetwork}\n`,
  first: undefined,
  summary: ['remove the host network table'],
  groups: undefined,
}
