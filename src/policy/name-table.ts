import type { Hostname, PortList } from '../net/types.ts'
import type { Policy } from './model.ts'
import { splitPattern } from '../net/pattern.ts'

/** That a policy lets a name be asked for, and reached. */
export interface Grant {
  readonly policy: string
  /** The name as written in the config, or the pattern that it falls under: under this its addresses are held. */
  readonly as: Hostname
  /** May it resolve to RFC 1918 / ULA? */
  readonly private: boolean
  /** Those of the entries that list it. */
  readonly ports: readonly PortList[]
}

const NOBODY: readonly Grant[] = []

/** Which policies grant which names. Names are lower-case ASCII without a trailing dot. */
export class NameTable {
  readonly #exact = new Map<string, readonly Grant[]>()
  /** By what follows the dot: `*.example.com` and `**.example.com` under `example.com`, so that nothing is put together to look for them. */
  readonly #oneLabel = new Map<string, readonly Grant[]>()
  readonly #anyDepth = new Map<string, readonly Grant[]>()

  constructor(policies: readonly Policy[]) {
    const table = new Map<string, Map<string, Grant>>()
    for (const { id, groups } of policies) {
      for (const { ports, names } of groups) {
        for (const [name, mayBePrivate] of names) {
          let grants = table.get(name)
          if (!grants) table.set(name, (grants = new Map()))
          const known = grants.get(id)
          grants.set(id, {
            policy: id,
            as: name,
            private: mayBePrivate || (known?.private ?? false),
            ports: [...(known?.ports ?? []), ports],
          })
        }
      }
    }
    for (const [name, grants] of table) {
      const pattern = splitPattern(name)
      const map = !pattern ? this.#exact : pattern.depth === 'one' ? this.#oneLabel : this.#anyDepth
      map.set(pattern?.suffix ?? name, [...grants.values()])
    }
  }

  /**
   * One grant a policy at the most: the most specific of what it lists, which is the name itself, or the pattern with the longest suffix, `*` before
   * `**`. Policies unite.
   */
  match(name: string): readonly Grant[] {
    let found = this.#exact.get(name) ?? NOBODY
    if (this.#oneLabel.size === 0 && this.#anyDepth.size === 0) return found
    let dot = name.indexOf('.')
    for (let isNext = true; dot !== -1; dot = name.indexOf('.', dot + 1), isNext = false) {
      const suffix = name.slice(dot + 1)
      if (isNext) found = joined(found, this.#oneLabel.get(suffix))
      found = joined(found, this.#anyDepth.get(suffix))
    }
    return found
  }
}

/** What is less specific counts for policies that have nothing more specific. */
function joined(found: readonly Grant[], less: readonly Grant[] | undefined): readonly Grant[] {
  if (!less) return found
  if (found.length === 0) return less
  const more = less.filter(({ policy }) => !found.some((grant) => grant.policy === policy))
  return more.length > 0 ? [...found, ...more] : found
}
