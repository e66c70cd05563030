import type { Config } from '../config/model.ts'
import { sanitise } from '../observe/sanitise.ts'
import { unknownNames, type UnknownName } from '../policy/unknown-names.ts'
import { namesNoNetwork } from '../workloads/guarded.ts'
import type { Inventory } from '../workloads/model.ts'

type Guard = Pick<Config['guard'], 'networks' | 'except'>

/**
 * Why `guard.networks` probably leaves a network open that was meant to be guarded; undefined: there is no sign of it. A name that no network has
 * is no such sign by itself, since networks come and go.
 * @param seen names of networks that existed before
 */
export function guardProblem(
  guard: Guard,
  inventory: Inventory | undefined,
  seen: ReadonlySet<string> = new Set(),
): string | undefined {
  if (!inventory || guard.networks === 'all') return undefined
  const listed = new Set(guard.networks)
  const missing = unknownNames({ guard: { ...guard, except: [] }, policies: [] }, inventory).filter(
    ({ path }) => !seen.has(String(guard.networks[Number(path.at(-1))])),
  )
  if (namesNoNetwork(guard, inventory, seen))
    return `guard.networks names no network that is there (${sayAll(missing)}): every network is guarded until one is; mend the list, then \`embargod reload\``
  const misspelt = missing.filter(
    ({ near }) => near !== undefined && !listed.has(near) && !guard.except.includes(near),
  )
  return misspelt.length === 0
    ? undefined
    : `guard.networks leaves a network open that is likely meant (${sayAll(misspelt)}): mend the list, then \`embargod reload\``
}

const MOST_NOTES = 20

/** Names in the config that nothing on this host has now. They are worth a look, and no fault by themselves. */
export function nameNotes(
  config: Pick<Config, 'policies'> & { readonly guard: Guard },
  inventory: Inventory | undefined,
): string[] {
  if (!inventory) return []
  const missing = unknownNames(config, inventory)
  const notes = missing.slice(0, MOST_NOTES).map(({ path, words }) => sanitise(`${keyOf(path)}: ${words}`))
  const more = missing.length - notes.length
  return more > 0 ? [...notes, `${more} more names in the config that nothing bears`] : notes
}

/** The path without the numbers of list items. */
const keyOf = (path: UnknownName['path']): string => path.filter((step) => typeof step === 'string').join('.')

const SHOWN = 3

const sayAll = (missing: readonly UnknownName[]): string =>
  [
    ...missing.slice(0, SHOWN).map(({ words }) => sanitise(words)),
    ...(missing.length > SHOWN ? [`and ${missing.length - SHOWN} more`] : []),
  ].join(', ')
