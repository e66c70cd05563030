import type { SomeFamilies } from '../targets/iptables/driver.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import type { EngineSwitches } from '../workloads/engine-config/engine-switches.ts'
import type { Network } from '../workloads/model.ts'
import { hasEngineChain, missingOfAny, piecesIn, type Piece } from './engine-pieces.ts'

/** An engine that starts removes its chains for a moment, and the rules of a network go before the event of its removal comes. */
const FOR_MS = 3_000
/** As many networks are named in a message. */
const MOST_NAMES = 3

export interface EngineFacts {
  readonly networks: readonly Network[]
  readonly switches: EngineSwitches
}

/**
 * Notices that rules of the engine are gone, as after `nft flush ruleset` or `iptables -t nat -F`: the engine puts them back only when it starts. Some
 * parts are expected of every engine that keeps rules in iptables; others are missed when they were seen before. An engine that has no rules by its own
 * settings lacks none.
 */
export class EngineRules {
  readonly #seen: Record<Family, Map<string, Piece>> = { 4: new Map(), 6: new Map() }
  readonly #missing: Record<Family, readonly Piece[]> = { 4: [], 6: [] }
  /** Since when a part is missing, by family and key. */
  readonly #goneSinceMs = new Map<string, number>()
  readonly #clock: () => number

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** The engine was restarted: it may have other rules than before. */
  forget(): void {
    for (const family of FAMILIES) this.#seen[family].clear()
  }

  /**
   * Returns a sentence about what is gone for longer than a moment; undefined: nothing is.
   * @param saved the families that were read; for the others the last finding still counts
   */
  look(saved: SomeFamilies, engine: EngineFacts): string | undefined {
    for (const family of FAMILIES) this.#missing[family] = this.#lookAt(family, saved[family], engine)
    const words = FAMILIES.flatMap((family) =>
      wordsOf(this.#missing[family]).map((one) => `IPv${family} ${one}`),
    )
    if (words.length === 0) return undefined
    return `rules of the Docker engine are gone (${words.join(', ')}): restart the engine, which puts them back`
  }

  #lookAt(
    family: Family,
    saved: SomeFamilies[Family],
    { networks, switches }: EngineFacts,
  ): readonly Piece[] {
    if (switches[family] === false) {
      this.#seen[family].clear()
      return []
    }
    if (!saved) return this.#missing[family]
    const seen = this.#seen[family]
    const present = piecesIn(saved, networks)
    const listed = new Set(networks.map(({ id }) => id))
    for (const [key, { network }] of seen) if (network && !listed.has(network.id)) seen.delete(key)
    for (const [key, piece] of present) seen.set(key, piece)
    // Where the settings do not say whether the engine keeps rules here, its chains do.
    const isExpected = switches[family] ?? (hasEngineChain(saved) || seen.size > 0)
    const missing = [
      ...[...seen.values()].filter(({ key }) => !present.has(key)),
      ...(isExpected ? missingOfAny(present, networks, family) : []),
    ]
    return this.#lasting(family, missing)
  }

  #lasting(family: Family, missing: readonly Piece[]): readonly Piece[] {
    const nowMs = this.#clock()
    const keys = new Set(missing.map(({ key }) => `${family} ${key}`))
    for (const key of this.#goneSinceMs.keys())
      if (key.startsWith(`${family} `) && !keys.has(key)) this.#goneSinceMs.delete(key)
    for (const key of keys) if (!this.#goneSinceMs.has(key)) this.#goneSinceMs.set(key, nowMs)
    return missing.filter(({ key }) => nowMs - (this.#goneSinceMs.get(`${family} ${key}`) ?? nowMs) >= FOR_MS)
  }
}

/** Networks are named only where all that is missing belongs to networks. */
function wordsOf(missing: readonly Piece[]): string[] {
  const kinds = [...new Set(missing.map(({ what }) => what))].toSorted()
  return kinds.map((kind) => {
    const pieces = missing.filter(({ what }) => what === kind)
    const names = [...new Set(pieces.flatMap(({ network }) => network?.name ?? []))].toSorted()
    if (names.length === 0 || pieces.some(({ network }) => network === undefined)) return kind
    const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : ''
    return `${kind} of ${names.slice(0, MOST_NAMES).join(', ')}${more}`
  })
}
