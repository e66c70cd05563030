import { readEntry, type ReadEntry } from './entry.ts'
import type { AllowTarget, Problem } from './model.ts'
import { readList } from './list-file.ts'
import type { PlacedEntry } from './rules.ts'
import type { ConfigOutput } from './schema.ts'
import { problemAt, whereOf, type SourcePosition, type SourceText } from './source.ts'
import { placeAt, type Path, type Tree } from './tree.ts'

/** Opens a list file that an entry names; undefined when it was refused, with the reasons among the problems. */
export type OpenList = (
  name: string,
  place: SourcePosition,
  problems: Problem[],
) => Promise<SourceText | undefined>

/** One entry for each target of the list at this path, list files read, in the order of the config. */
export async function expandEntries(
  allow: ConfigOutput['allow'],
  at: Path,
  tree: Tree,
  openList: OpenList,
): Promise<{ readonly entries: readonly PlacedEntry[]; readonly problems: readonly Problem[] }> {
  const entries: PlacedEntry[] = []
  const problems: Problem[] = []
  for (const [i, item] of allow.entries()) {
    const read = readEntry(item)
    for (const { target, path } of read.targets) {
      entries.push(placed(read, target, placeAt(tree, [...at, i, ...path])))
    }
    if (read.file === undefined) continue
    const place = placeAt(tree, [...at, i, 'file'])
    const source = await openList(read.file, place, problems)
    if (source === undefined) continue
    const list = readList(source)
    problems.push(...list.problems)
    if (list.targets.length === 0 && list.problems.length === 0) {
      problems.push(problemAt(place, `${read.file} names nothing: this entry allows nothing`, 'warning'))
    }
    for (const found of list.targets) entries.push(placed(read, found.target, found.place))
  }
  return { entries, problems }
}

const placed = ({ terms }: ReadEntry, target: AllowTarget, place: SourcePosition): PlacedEntry => ({
  entry: { target, ...terms, where: whereOf(place) },
  place,
})
