/** Elements with their owners. Most have one: 100,000 sets of one would cost more than all else. */
export type Owned = Map<string, string | Set<string>>

/** True: nobody owned it before. */
export function own(owners: Owned, element: string, owner: string): boolean {
  const present = owners.get(element)
  if (present === undefined) owners.set(element, owner)
  else if (typeof present === 'object') present.add(owner)
  else if (present !== owner) owners.set(element, new Set([present, owner]))
  return present === undefined
}

/** At most what fits: the first owners by name, and how many more there are. */
export function commentOf(owners: ReadonlySet<string>): string {
  if (owners.size === 1) for (const owner of owners) return owner
  const sorted = [...owners].toSorted()
  const shown: string[] = []
  let length = 0
  for (const owner of sorted) {
    if (length + owner.length > 180) break
    shown.push(owner)
    length += owner.length + 1
  }
  const hidden = sorted.length - shown.length
  return hidden > 0 ? `${shown.join(' ')} +${hidden}` : shown.join(' ')
}
