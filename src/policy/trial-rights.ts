import type { RightsClass } from './class-numbers.ts'
import type { Assignment, ClassMember } from './classes.ts'

/**
 * What the classes of a config on trial meant under the config before it: packets bear the numbers of the one on trial, also when its time
 * is over and nobody is left to number them anew. Where members of one class had different rights, all of them count as unknown sources.
 */
export function rightsBefore(
  tried: Assignment | undefined,
  before: Assignment | undefined,
): Pick<Assignment, 'unknown' | 'classes'> | undefined {
  if (!before) return undefined
  const rights = new Map(before.classes.map((one) => [one.id, one]))
  const had = new Map(before.members.map((member) => [placeOf(member), rights.get(member.class ?? 0)]))
  const byClass = new Map<number, (RightsClass | undefined)[]>()
  for (const member of tried?.members ?? []) {
    if (member.class === undefined) continue
    const theirs = byClass.get(member.class) ?? []
    theirs.push(had.get(placeOf(member)))
    byClass.set(member.class, theirs)
  }
  const classes = [...byClass].flatMap(([id, [first, ...others]]): RightsClass[] =>
    first && others.every((one) => one?.key === first.key) ? [{ ...first, id }] : [],
  )
  return { unknown: before.unknown, classes: classes.toSorted((one, other) => one.id - other.id) }
}

const placeOf = ({ container, networkId }: ClassMember): string => `${container.id} ${networkId}`
