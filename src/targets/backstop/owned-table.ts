import { OWNED_TABLE } from '../../dataplane/names.ts'
import type { Backstop } from '../../dataplane/model.ts'
import { LineSession } from '../../system/line-session.ts'
import { backstopInSync, renderOwned } from './render.ts'
import { parseBackstop, type SavedBackstop } from './parse.ts'
import { errorMessage } from '../../system/errors.ts'

/** What could not be had is tried again after this long, and then ever later: a kernel or an nft without owned tables never gives it. */
const RETRY_MS = { first: 500, times: 4, most: 60_000 }
/** A pass waits for it. */
const ANSWER_MS = 3_000

const LIST = `list table inet ${OWNED_TABLE}`
/** An nft with another line editor repeats what it is told before it answers. */
const LISTED = new RegExp(`^table inet ${OWNED_TABLE} \\{( #.*)?$`, 'm')

export interface OwnedTableOptions {
  /** It stands (undefined), or why it cannot be had. Told of transitions only. */
  readonly onState: (why: string | undefined) => void
  /** It has to be looked at: its owner has ended and the table with it, or it is time to try again. */
  readonly onDue: () => void
}

export interface OwnedTableChange {
  readonly desired: Backstop
  /** False: what could not be had before is tried once more. */
  readonly isNews: boolean
}

/**
 * The backstop's twin, owned by an `nft -i` of ours: `nft flush ruleset` passes it by, and it is gone with this process, so it can never
 * outlive who keeps it right. Nothing depends on it: where it cannot be had, the plain table stands alone.
 */
export class OwnedTable {
  readonly #options: OwnedTableOptions
  readonly #session: LineSession
  /** The life of the session in which the table was made: what another one made is not ours. */
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

  /** Undefined: it is the twin of `desired` as it should be, or it cannot be had for now. Never rejects. */
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

  /** Replaces it in one transaction. Never rejects: the state tells. */
  async write(desired: Backstop): Promise<void> {
    try {
      await this.#session.ask(renderOwned(desired, await this.#read()))
      const { complaint, life } = this.#session
      // What counts is what the kernel holds, whatever was said.
      if (!backstopInSync(desired, await this.#read()))
        throw new Error(complaint.split('\n')[0] || 'the kernel does not hold what was written')
      this.#madeIn = life
      this.#failures = 0
      this.#tell(undefined)
    } catch (error) {
      this.#refused(error)
    }
  }

  /** Gives the table up together with its owner. */
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
    // A table that cannot be kept right would cut flows that a later generation admits: it ends with its owner.
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
