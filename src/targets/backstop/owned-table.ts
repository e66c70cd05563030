import { OWNED_TABLE } from '../../dataplane/names.ts'
import type { Backstop } from '../../dataplane/model.ts'
import { LineSession } from '../../system/line-session.ts'
import { backstopInSync, renderOwned } from './render.ts'
import { parseBackstop, type SavedBackstop } from './parse.ts'
import { errorMessage } from '../../system/errors.ts'

/** When the table cannot be made it is tried again after this long, and then ever later: some kernels and versions of nft have no owned tables. */
const RETRY_MS = { first: 500, times: 4, most: 60_000 }
/** A pass waits for it. */
const ANSWER_MS = 3_000

const LIST = `list table inet ${OWNED_TABLE}`
/** An nft with another line editor repeats its input before it answers. */
const LISTED = new RegExp(`^table inet ${OWNED_TABLE} \\{( #.*)?$`, 'm')

export interface OwnedTableOptions {
  /** Called when the table gets into force (undefined) or cannot be had any more, with the reason. */
  readonly onState: (why: string | undefined) => void
  /** The next pass should look at it: its owner has ended and the table with it, or it is time to try again. */
  readonly onDue: () => void
}

export interface OwnedTableChange {
  readonly desired: Backstop
  /** False: the table could not be made before, and this is another try. */
  readonly isNews: boolean
}

/**
 * The backstop's twin, owned by an `nft -i` of ours. `nft flush ruleset` does not touch it, and the kernel removes it when that process ends, so it
 * never outlives the daemon that keeps it up to date. Nothing depends on it: where it cannot be had, the plain table guards alone.
 */
export class OwnedTable {
  readonly #options: OwnedTableOptions
  readonly #session: LineSession
  /** The session process that made the table. A table that another process made is not ours. */
  #madeIn: number | undefined
  #state: { readonly why: string | undefined } | undefined
  #failures = 0
  #retryAtMs = 0
  #retry: NodeJS.Timeout | undefined

  constructor(options: OwnedTableOptions) {
    this.#options = options
    this.#session = new LineSession({
      argv: ['nft', '-i'],
      marker: { question: 'describe ip ttl', answer: /^payload expression/m },
      timeoutMs: ANSWER_MS,
      onEnd: () => {
        if (this.#madeIn !== undefined) options.onDue()
        this.#madeIn = undefined
      },
    })
  }

  /** What has to be written; undefined: the table is as desired, or cannot be had for now. Never rejects. */
  async changeFor(desired: Backstop): Promise<OwnedTableChange | undefined> {
    const isNews = this.#failures === 0
    if (!isNews && performance.now() < this.#retryAtMs) return undefined
    try {
      const saved = await this.#read()
      return this.#madeIn !== undefined && backstopInSync(desired, saved) ? undefined : { desired, isNews }
    } catch (error) {
      this.#refused(error)
      return undefined
    }
  }

  /** Replaces the table in one transaction. Never rejects: a failure is reported by `onState`. */
  async write(desired: Backstop): Promise<void> {
    try {
      await this.#session.ask(renderOwned(desired, await this.#read()))
      const { complaint, life } = this.#session
      // What counts is what the kernel holds, whatever the tool answered.
      if (!backstopInSync(desired, await this.#read()))
        throw new Error(complaint.split('\n')[0] || 'the kernel does not hold what was written')
      this.#madeIn = life
      this.#failures = 0
      this.#tell(undefined)
    } catch (error) {
      this.#refused(error)
    }
  }

  /** Removes the table by ending its owner. */
  async close(): Promise<void> {
    this.#madeIn = undefined
    clearTimeout(this.#retry)
    await this.#session.close()
  }

  async #read(): Promise<SavedBackstop | undefined> {
    const output = await this.#session.ask(LIST)
    const from = output.search(LISTED)
    return from === -1 ? undefined : parseBackstop(output.slice(from))
  }

  #refused(error: unknown): void {
    // A table that cannot be updated would cut flows that a later generation admits, so it is given up together with its owner.
    this.#madeIn = undefined
    this.#session.drop()
    const waitMs = Math.min(RETRY_MS.most, RETRY_MS.first * RETRY_MS.times ** this.#failures)
    this.#retryAtMs = performance.now() + waitMs
    clearTimeout(this.#retry)
    // A little later than it may be, or the look would come to nothing.
    this.#retry = setTimeout(() => this.#options.onDue(), waitMs + 20).unref()
    this.#failures += 1
    this.#tell(errorMessage(error))
  }

  #tell(why: string | undefined): void {
    const known = this.#state
    this.#state = { why }
    if (known === undefined || (known.why === undefined) !== (why === undefined)) this.#options.onState(why)
  }
}
