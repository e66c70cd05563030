import type { Bindings, DesiredBindings } from '../../dataplane/model.ts'
import { addressesIn, changeBindings, elementsOf, type BindingElements } from './elements.ts'
import {
  bindingRulesInSync,
  ourElements,
  removeBindings,
  renderBindings,
  type Dropped,
  type SavedBindings,
} from './render.ts'
import type { DesiredState, DriftKind, Keeper, Phase, Scope, TargetChange } from '../keeper.ts'
import { Senders } from './senders.ts'
import type { BindingsDriver } from './driver.ts'
import { againInSync } from './rights-again.ts'
import { ToolError } from '../../system/exec.ts'
import { errorMessage } from '../../system/errors.ts'

export interface BindingsChange extends TargetChange {
  readonly text: string
  /**
   * To be written before the rules: class numbers that lie in other bits would give packets the rights of another class under the
   * new rules.
   */
  readonly first: string | undefined
  /** What the table holds then. */
  readonly elements: BindingElements | undefined
}

/** A tool may fail once and is tried again. A kernel that does not support such a table refuses it each time. */
const UNSUPPORTED_AT = 2

/**
 * Keeps the table that binds containers to their addresses. Between looks it is believed to be what was written last, so a container that
 * starts costs one write and no read.
 */
export class BindingsKeeper implements Keeper<BindingsChange> {
  /** The elements that the table is known to hold; undefined: there is no table, or its rules are not as written. */
  #known: BindingElements | undefined
  /** What was known of it before the last look. */
  #before: BindingElements | undefined
  /** The elements that the last look found, whatever the rules of the table were; undefined: it could not be read. */
  #found: BindingElements | undefined
  /** The desired bindings that {@link #known} is equal to. Mostly the same is desired again, and thousands of elements need not be rendered to see that. */
  #lastDesired: Bindings | undefined
  /** The bits of packets' marks that hold the class. */
  #rights = 0
  /** The table writes the class into other bits, or does not write it at all. */
  #isOtherLayout = false
  /** There is a table, though perhaps not as it was written. */
  #exists = false
  #looked = false
  #senders: { readonly of: BindingElements; readonly all: Senders } | undefined
  #dropped: Dropped = { forged: 0, claimed: 0 }
  #problem: string | undefined
  /** Writes that failed since the table was last as desired. */
  #failures = 0

  /** @param onBound containers may have rights in the kernel that they did not have before */
  constructor(
    private readonly driver: BindingsDriver,
    private readonly onBound?: () => void,
  ) {}

  /** Why containers are not bound to their addresses; undefined: they are, or need not be. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Does this host not support the table, judging by what was tried? Never while a table exists, and never after one failure. */
  get isUnsupported(): boolean {
    return !this.#exists && this.#failures >= UNSUPPORTED_AT
  }

  /** Judges senders by the bindings in force; undefined: no container is bound. */
  get senders(): Senders | undefined {
    const elements = this.#known
    if (elements === undefined) return undefined
    if (this.#senders?.of !== elements) this.#senders = { of: elements, all: new Senders(elements) }
    return this.#senders.all
  }

  get dropped(): Dropped {
    return this.#dropped
  }

  async look(
    { bindings: desired, marks: { rights } }: Pick<DesiredState, 'bindings' | 'marks'>,
    { parts }: Pick<Scope, 'parts'>,
  ): Promise<void> {
    if (rights !== this.#rights) this.#relocate(rights)
    this.#before = this.#known
    // Where no table is wanted one look is enough: only the daemon makes such a table.
    const isToBeRead = parts.has('bindings') && (desired !== undefined || this.#before !== undefined)
    if (!this.#looked || isToBeRead) await this.#look(desired !== undefined)
  }

  plan({ bindings: desired }: Pick<DesiredState, 'bindings'>): BindingsChange | undefined {
    const before = this.#before
    const isDrift =
      before !== undefined && (!this.#known || changeBindings(before, this.#known, this.#rights) !== '')
    const drift: DriftKind[] = isDrift ? ['bindings'] : []
    if (desired === undefined) return this.#exists ? { ...REMOVAL, drift } : undefined
    const wanted = desired === 'kept' ? (before ?? this.#found) : desired
    if (wanted === undefined) return undefined
    if (this.#known !== undefined) return this.#difference(this.#known, wanted, drift)
    const elements = isDesired(wanted) ? elementsOf(wanted, this.#rights) : wanted
    const text = renderBindings(elements, this.#dropped, this.#rights)
    const first = this.#isOtherLayout ? `${removeBindings}\n` : undefined
    return { text, first, summary: ['write the bindings table'], elements, drift }
  }

  /**
   * Writes what differs from what is known, without a look. Resolves to a line for the log; undefined: nothing differs, or a look is needed
   * first.
   */
  async bindNow(desired: DesiredBindings): Promise<string | undefined> {
    if (!isDesired(desired) || !this.#looked || this.#known === undefined) return undefined
    const change = this.#difference(this.#known, desired, [])
    if (change) await this.#write(change)
    return change?.summary.join()
  }

  /** Rejects before the rules only. After them a failure is the {@link problem}: a container that is not bound counts as unknown, so the rules are right without the table. */
  async apply(change: BindingsChange, phases: readonly Phase[]): Promise<void> {
    if (phases.includes('before rules') && change.first !== undefined) await this.driver.write(change.first)
    if (phases.includes('after rules')) await this.#write(change)
  }

  async #write(change: BindingsChange): Promise<void> {
    try {
      await this.driver.write(change.text)
      this.#known = change.elements
      this.#lastDesired = undefined
      this.#exists = change.elements !== undefined
      this.#noteGood()
    } catch (error) {
      this.#looked = false
      this.#failures += 1
      this.#problem = errorMessage(error)
    }
    this.onBound?.()
  }

  #difference(
    known: BindingElements,
    desired: Bindings | BindingElements,
    drift: readonly DriftKind[],
  ): BindingsChange | undefined {
    if (isDesired(desired) && this.#lastDesired && areSame(this.#lastDesired, desired)) return undefined
    const elements = isDesired(desired) ? elementsOf(desired, this.#rights) : desired
    const text = changeBindings(known, elements, this.#rights)
    const summary = [`change bindings (${addressesIn(elements)} in force)`]
    if (text !== '') return { text, first: undefined, summary, elements, drift }
    if (isDesired(desired)) this.#lastDesired = desired
    return undefined
  }

  /** The table in the kernel writes the class into other bits: it is read again and written anew. */
  #relocate(rights: number): void {
    this.#rights = rights
    this.#known = undefined
    this.#looked = false
  }

  async #look(isWanted: boolean): Promise<void> {
    this.#looked = true
    this.#lastDesired = undefined
    this.#known = undefined
    try {
      const saved = await this.driver.read()
      this.#exists = saved !== undefined
      this.#isOtherLayout = saved !== undefined && !againInSync(saved.again, this.#rights)
      this.#found = saved ? ourElements(saved, this.#rights) : new Map()
      if (!saved) return
      this.#dropped = newest(this.#dropped, saved)
      if (!bindingRulesInSync(saved, this.#rights)) return
      this.#known = saved.elements
      this.#noteGood()
    } catch (error) {
      // A host without the tool, or without its part in the kernel, has no table. A listing that is cut off fails the pass.
      if (!(error instanceof ToolError)) throw error
      this.#found = undefined
      if (isWanted) this.#problem = error.message
    }
  }

  #noteGood(): void {
    this.#problem = undefined
    this.#failures = 0
  }
}

const REMOVAL = {
  text: `${removeBindings}\n`,
  first: undefined,
  summary: ['remove the bindings table'],
  elements: undefined,
}

const isDesired = (value: DesiredBindings | BindingElements): value is Bindings =>
  typeof value === 'object' && 'ports' in value

/** The counters of a table that was deleted begin at nothing again; our counts go on. */
const newest = (before: Dropped, { dropped }: SavedBindings): Dropped => ({
  forged: Math.max(before.forged, dropped.forged),
  claimed: Math.max(before.claimed, dropped.claimed),
})

const areSame = (some: Bindings, others: Bindings): boolean =>
  some.gateways.join() === others.gateways.join() &&
  some.spared.join() === others.spared.join() &&
  some.ports.length === others.ports.length &&
  some.ports.every((one, index) => {
    const other = others.ports[index]
    return (
      other !== undefined &&
      one.port === other.port &&
      one.mac === other.mac &&
      one.address === other.address &&
      one.class === other.class
    )
  })
