import type { Bindings } from '../../dataplane/model.ts'
import {
  addressesIn,
  bindingRulesInSync,
  changeBindings,
  elementsOf,
  ourElements,
  removeBindings,
  renderBindings,
  type Dropped,
  type Elements,
  type SavedBindings,
} from './bindings.ts'
import { Senders } from './senders.ts'
import type { BindingsDriver } from './driver.ts'
import { againInSync } from './rights-again.ts'
import { ToolError } from '../../system/exec.ts'
import { errorMessage } from '../../system/errors.ts'

/** What containers may send from. `kept`: what stands, since nobody says who there is; undefined: whatever they like, since all have the same rights. */
export type DesiredBindings = Bindings | 'kept' | undefined

/** What has to be written so that the table is as desired, and what it holds then. */
export interface BindingsChange {
  readonly text: string
  /** To be written ahead of the rules: numbers of rights that lie in other bits would give the rights of somebody else under new rules. */
  readonly first: string | undefined
  readonly summary: string
  readonly elements: Elements | undefined
  /** Somebody else changed the table since it was written. */
  readonly isDrift: boolean
}

/** A tool that fails once is tried again; a kernel that knows no such table refuses it each time. */
const HOPELESS_AT = 2

/**
 * Keeps the table that holds containers to their addresses. Between looks it is believed to be what was written last, so a container that
 * starts costs one write and no read.
 */
export class BindingsKeeper {
  /** What the table holds as far as is known; undefined: there is none. */
  #known: Elements | undefined
  /** What the table held when it was looked at, whatever its rules were; undefined: nobody could read it. */
  #found: Elements | undefined
  /** What was wanted when it was seen or made to be so: mostly the same is wanted again, and thousands need not be spelled out. */
  #kept: Bindings | undefined
  /** The bits of packets' marks that tell rights. */
  #rights = 0
  /** It says in other bits whose packets are whose, or does not say it at all. */
  #isOtherLayout = false
  /** There is a table, though it may not be as it was written. */
  #stands = false
  #looked = false
  #senders: { readonly of: Elements; readonly all: Senders } | undefined
  #dropped: Dropped = { forged: 0, claimed: 0 }
  #problem: string | undefined
  /** Writes that failed since the table was last as it ought to be. */
  #failures = 0

  constructor(private readonly driver: BindingsDriver) {}

  /** Why containers are not held to their addresses; undefined: they are, or need not be. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Can there be no table on this host, by all that was tried? One that stands goes on holding, and one failure says nothing. */
  get isHopeless(): boolean {
    return !this.#stands && this.#failures >= HOPELESS_AT
  }

  /** By what the kernel is known to hold; undefined: nobody is bound. */
  get senders(): Senders | undefined {
    const elements = this.#known
    if (elements === undefined) return undefined
    if (this.#senders?.of !== elements) this.#senders = { of: elements, all: new Senders(elements) }
    return this.#senders.all
  }

  get dropped(): Dropped {
    return this.#dropped
  }

  /** @param rights the bits of packets' marks that tell them */
  async plan(desired: DesiredBindings, look: boolean, rights: number): Promise<BindingsChange | undefined> {
    if (rights !== this.#rights) this.#relocate(rights)
    const before = this.#known
    // Where no table is wanted one look is enough: nobody but us makes it.
    if (!this.#looked || (look && (desired !== undefined || before !== undefined)))
      await this.#look(desired !== undefined)
    const isDrift =
      before !== undefined && (!this.#known || changeBindings(before, this.#known, this.#rights) !== '')
    if (desired === undefined)
      return this.#stands
        ? {
            text: `${removeBindings}\n`,
            first: undefined,
            summary: 'remove the bindings table',
            elements: undefined,
            isDrift,
          }
        : undefined
    const wanted = desired === 'kept' ? (before ?? this.#found) : desired
    if (wanted === undefined) return undefined
    if (this.#known !== undefined) return this.#difference(this.#known, wanted, isDrift)
    const elements = isDesired(wanted) ? elementsOf(wanted, this.#rights) : wanted
    const text = renderBindings(elements, this.#dropped, this.#rights)
    const first = this.#isOtherLayout ? `${removeBindings}\n` : undefined
    return { text, first, summary: 'write the bindings table', elements, isDrift }
  }

  /** What differs from what is known is written at once, without a look. Resolves to what was done; undefined: nothing, or not without a look. */
  async bring(desired: DesiredBindings): Promise<string | undefined> {
    if (!isDesired(desired) || !this.#looked || this.#known === undefined) return undefined
    const change = this.#difference(this.#known, desired, false)
    if (change) await this.apply(change)
    return change?.summary
  }

  /** Ahead of the rules. */
  async prepare({ first }: BindingsChange): Promise<void> {
    if (first !== undefined) await this.driver.write(first)
  }

  /** Never rejects: who is not bound is held for unknown, so the rules stand without it. */
  async apply(change: BindingsChange): Promise<void> {
    try {
      await this.driver.write(change.text)
      this.#known = change.elements
      this.#kept = undefined
      this.#stands = change.elements !== undefined
      this.#isGood()
    } catch (error) {
      this.#looked = false
      this.#failures += 1
      this.#problem = errorMessage(error)
    }
  }

  #difference(known: Elements, desired: Bindings | Elements, isDrift: boolean): BindingsChange | undefined {
    if (isDesired(desired) && this.#kept && areSame(this.#kept, desired)) return undefined
    const elements = isDesired(desired) ? elementsOf(desired, this.#rights) : desired
    const text = changeBindings(known, elements, this.#rights)
    const summary = `change bindings (${addressesIn(elements)} in force)`
    if (text !== '') return { text, first: undefined, summary, elements, isDrift }
    if (isDesired(desired)) this.#kept = desired
    return undefined
  }

  /** What stands tells rights by other bits: it is looked at with these eyes, and written anew. */
  #relocate(rights: number): void {
    this.#rights = rights
    this.#known = undefined
    this.#looked = false
  }

  async #look(isWanted: boolean): Promise<void> {
    this.#looked = true
    this.#kept = undefined
    this.#known = undefined
    try {
      const saved = await this.driver.read()
      this.#stands = saved !== undefined
      this.#isOtherLayout = saved !== undefined && !againInSync(saved.again, this.#rights)
      this.#found = saved ? ourElements(saved, this.#rights) : new Map()
      if (!saved) return
      this.#dropped = newest(this.#dropped, saved)
      if (!bindingRulesInSync(saved, this.#rights)) return
      this.#known = saved.elements
      this.#isGood()
    } catch (error) {
      // A host without the tool, or without the kernel's part of it, has no table; half an answer is none at all.
      if (!(error instanceof ToolError)) throw error
      this.#found = undefined
      if (isWanted) this.#problem = error.message
    }
  }

  #isGood(): void {
    this.#problem = undefined
    this.#failures = 0
  }
}

const isDesired = (value: DesiredBindings | Elements): value is Bindings =>
  typeof value === 'object' && 'ports' in value

/** A table that somebody deleted begins again at nothing; the counts do not. */
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
