import type { Backstop } from '../../dataplane/model.ts'
import { ToolError } from '../../system/exec.ts'
import type { DesiredState, Keeper, Phase, Scope, TargetChange } from '../keeper.ts'
import { backstopInSync, beforeOf, renderBackstop } from './render.ts'
import type { BackstopDriver } from './driver.ts'
import type { SavedBackstop } from './parse.ts'
import type { OwnedTable, OwnedTableChange } from './owned-table.ts'

export interface BackstopChange extends TargetChange {
  /** Undefined: the plain table is as desired. */
  readonly text: string | undefined
  /** Undefined: the owned table is as desired, or cannot be had. */
  readonly owned: OwnedTableChange | undefined
  /** There was no backstop at all. */
  readonly isBare: boolean
  /**
   * What both tables accept while rules of one generation are replaced by those of the next. Without it, flows of one of the
   * two would stall in between.
   */
  readonly meanwhile: { readonly text: string; readonly backstop: Backstop } | undefined
}

/** Keeps the backstop and its twin, the owned table. */
export class BackstopKeeper implements Keeper<BackstopChange> {
  #looked = false
  #saved: SavedBackstop | undefined
  #owned: OwnedTableChange | undefined
  #failedLast = false
  #isInForce = false
  #failure: Error | undefined

  constructor(
    private readonly driver: BackstopDriver,
    private readonly ownedTable: OwnedTable | undefined,
  ) {}

  /** Was the plain table as desired when it was last read or written? */
  get isInForce(): boolean {
    return this.#isInForce
  }

  /** What the last look read; undefined: there is no such table, or the look left it out. */
  get seen(): SavedBackstop | undefined {
    return this.#saved
  }

  /** Why the plain table could not be written by the last change; undefined: it was, or did not have to be. */
  get failure(): Error | undefined {
    return this.#failure
  }

  async look({ backstop }: Pick<DesiredState, 'backstop'>, { parts }: Pick<Scope, 'parts'>): Promise<void> {
    this.#failure = undefined
    this.#looked = parts.has('backstop')
    const [saved, owned] = await Promise.all([
      this.#looked ? this.#read() : undefined,
      this.#looked ? this.ownedTable?.changeFor(backstop) : undefined,
    ])
    this.#saved = saved
    this.#owned = owned
  }

  plan({ backstop, former }: Pick<DesiredState, 'backstop' | 'former'>): BackstopChange | undefined {
    if (!this.#looked) return undefined
    const saved = this.#saved
    const owned = this.#owned
    this.#isInForce = !this.#failedLast && backstopInSync(backstop, saved)
    const text = this.#isInForce ? undefined : renderBackstop(backstop, beforeOf(saved))
    if (text === undefined && owned === undefined) return undefined
    const both = { ...backstop, former }
    return {
      text,
      owned,
      isBare: saved === undefined,
      meanwhile:
        text !== undefined && former.length > 0
          ? { text: renderBackstop(both, beforeOf(saved)), backstop: both }
          : undefined,
      summary: [
        ...(text === undefined ? [] : ['write the backstop table']),
        ...(owned?.isNews ? ['hold the backstop table'] : []),
      ],
      drift: text !== undefined || owned?.isNews ? ['backstop'] : [],
    }
  }

  /** Never rejects: the rules stand without it. {@link failure} tells. */
  async apply({ text, owned, isBare, meanwhile }: BackstopChange, phases: readonly Phase[]): Promise<void> {
    if (phases.includes('before rules')) {
      if (isBare) this.#failure = await this.#write(text, owned?.desired)
      // Should this fail, flows wait for the write that follows the rules, and that one reports the failure.
      else if (meanwhile) await this.#write(meanwhile.text, owned && meanwhile.backstop)
    }
    if (phases.includes('after rules') && !isBare) this.#failure = await this.#write(text, owned?.desired)
  }

  /** Resolves to why the plain table could not be written. */
  async #write(plain: string | undefined, owned: Backstop | undefined): Promise<Error | undefined> {
    let failure: Error | undefined
    try {
      if (plain !== undefined) {
        await this.driver.write(plain)
        this.#failedLast = false
        this.#isInForce = true
      }
    } catch (error) {
      this.#failedLast = true
      this.#isInForce = false
      failure = new Error('writing the backstop table', { cause: error })
    }
    if (owned) await this.ownedTable?.write(owned)
    return failure
  }

  async #read(): Promise<SavedBackstop | undefined> {
    try {
      return await this.driver.read()
    } catch (error) {
      // A listing that is cut off is no answer: the pass fails and the next one reads again.
      if (!(error instanceof ToolError)) throw error
      // Unreadable is not absent, but writing it anew is right in both cases, and the write reports what is wrong.
      return undefined
    }
  }
}
