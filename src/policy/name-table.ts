import type { Hostname } from '../net/types.ts'
import type { Policy } from './model.ts'
import { patternOf } from '../net/pattern.ts'

/** That a policy lets a name be asked for, and reached. */
export interface Grant {
  readonly policy: string
  /** The name as written in the config, or the pattern that it falls under: under this its addresses are held. */
  readonly as: Hostname
  /** May it resolve to RFC 1918 / ULA? */
  readonly private: boolean
}

const NOBODY: readonly Grant[] = []

/** Which policies grant which names. Names are lower-case ASCII without a trailing dot. */
export class NameTable {
  readonly #grants = new Map<string, readonly Grant[]>()
  readonly #hasPatterns: boolean

  constructor(policies: readonly Policy[]) {
    const table = new Map<string, Map<string, Grant>>()
    for (const { id, groups } of policies) {
      for (const { names } of groups) {
        for (const [name, mayBePrivate] of names) {
          let grants = table.get(name)
          if (!grants) table.set(name, (grants = new Map()))
          const wider = mayBePrivate || (grants.get(id)?.private ?? false)
          grants.set(id, { policy: id, as: name, private: wider })
        }
      }
    }
    for (const [name, grants] of table) this.#grants.set(name, [...grants.values()])
    this.#hasPatterns = [...table.keys()].some((name) => name.startsWith('*'))
  }

  /**
   * One grant a policy at the most: the most specific of what it lists, which is the name itself, or the pattern with the longest suffix, `*` before
   * `**`. Policies unite.
   */
  match(name: string): readonly Grant[] {
    const exact = this.#grants.get(name) ?? NOBODY
    if (!this.#hasPatterns) return exact
    const found = [...exact]
    const add = (grants: readonly Grant[] | undefined): void => {
      for (const grant of grants ?? NOBODY)
        if (!found.some(({ policy }) => policy === grant.policy)) found.push(grant)
    }
    let dot = name.indexOf('.')
    for (let isNext = true; dot !== -1; dot = name.indexOf('.', dot + 1), isNext = false) {
      const suffix = name.slice(dot + 1) as Hostname
      if (isNext) add(this.#grants.get(patternOf(suffix, 'one')))
      add(this.#grants.get(patternOf(suffix, 'any')))
    }
    return found
  }
}
