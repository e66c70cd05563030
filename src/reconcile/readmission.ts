import type { RevokeInput } from '../dataplane/revoke.ts'
import type { Address } from '../net/types.ts'
import type { SetsChange } from '../targets/ipset/keeper.ts'
import { renderDelete } from '../targets/ipset/render.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import { allowedAgain, revokedDestinations } from './rejudge.ts'

/** Takes flows out of the revoked set when their right comes back: an answer may name the address of a flow that was revoked before it came. */
export class Readmission {
  readonly #known: ReadonlyMap<string, KnownSet>
  /** Destinations of revoked flows; undefined: not asked for since the last pass. */
  #revokedTo: ReadonlySet<string> | undefined
  /** Those of them that the fast path added since. */
  readonly #comingBack = new Set<string>()

  constructor(known: ReadonlyMap<string, KnownSet>) {
    this.#known = known
  }

  /** The fast path added this address. True: flows to it are revoked, so the next pass has to see whether they are allowed now. */
  noteAdded(address: Address): boolean {
    this.#revokedTo ??= revokedDestinations(this.#known)
    if (!this.#revokedTo.has(address)) return false
    this.#comingBack.add(address)
    return true
  }

  /** The revoked set may have changed. */
  forgetDestinations(): void {
    this.#revokedTo = undefined
  }

  /** The change, with the revoked flows taken out that are allowed now. */
  readmit(sets: SetsChange, judgement: () => RevokeInput): SetsChange {
    const back = new Set(this.#comingBack)
    if (sets.touched.size === 0 && back.size === 0) return sets
    const readmitted = allowedAgain(this.#known, judgement(), sets.touched.size === 0 ? back : undefined)
    const lines = readmitted.map(({ set, element }) => renderDelete(set, element))
    const remember = (): void => {
      sets.remember()
      for (const address of back) this.#comingBack.delete(address)
      for (const { set, element } of readmitted) this.#known.get(set)?.elements.delete(element)
    }
    return { ...sets, after: [...sets.after, ...lines], remember }
  }
}
