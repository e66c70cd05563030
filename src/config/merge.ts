import type { Problem } from './model.ts'
import { problemAt, whereOf } from './source.ts'
import type { MapTree, Tree } from './tree.ts'

/**
 * Files laid over each other: lists append, maps join, and one value set twice must be the same value twice: which of two files wins
 * is nothing that an operator should have to remember.
 */
export function mergeTrees(trees: readonly Tree[]): {
  readonly tree: Tree | undefined
  readonly problems: readonly Problem[]
} {
  const problems: Problem[] = []
  const tree = trees.reduce<Tree | undefined>(
    (merged, next) => (merged === undefined ? next : mergeTwo(merged, next, [], problems)),
    undefined,
  )
  return { tree, problems }
}

function mergeTwo(first: Tree, second: Tree, path: readonly string[], problems: Problem[]): Tree {
  if (isNothing(second)) return first
  if (isNothing(first)) return second
  if (first.kind === 'map' && second.kind === 'map') return mergeMaps(first, second, path, problems)
  if (first.kind === 'list' && second.kind === 'list')
    return { ...first, items: [...first.items, ...second.items] }
  if (first.kind === 'scalar' && second.kind === 'scalar' && first.value === second.value) return first
  const name = path.length === 0 ? 'the file' : path.join('.')
  problems.push(
    problemAt(second.place, `${name} contradicts ${whereOf(first.place)}: it has another value there`),
  )
  return first
}

function mergeMaps(first: MapTree, second: MapTree, path: readonly string[], problems: Problem[]): MapTree {
  const entries = new Map(first.entries)
  for (const [key, entry] of second.entries) {
    const earlier = entries.get(key)
    if (earlier === undefined) entries.set(key, entry)
    else
      entries.set(key, { ...earlier, value: mergeTwo(earlier.value, entry.value, [...path, key], problems) })
  }
  return { ...first, entries }
}

/** `allow:` with nothing behind it. */
const isNothing = (tree: Tree): boolean => tree.kind === 'scalar' && tree.value === null
