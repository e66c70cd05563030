import type { SourcePosition } from './source.ts'

/** A parsed YAML value in which every node, and every key, knows its place. */
export type Tree = ScalarTree | ListTree | MapTree

export interface ScalarTree {
  readonly kind: 'scalar'
  readonly place: SourcePosition
  readonly value: unknown
}

export interface ListTree {
  readonly kind: 'list'
  readonly place: SourcePosition
  readonly items: readonly Tree[]
}

export interface MapTree {
  readonly kind: 'map'
  readonly place: SourcePosition
  readonly entries: ReadonlyMap<string, { readonly key: SourcePosition; readonly value: Tree }>
}

export type Path = readonly PropertyKey[]

/** The plain value, for the schema. */
export function toPlain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value
  if (tree.kind === 'list') return tree.items.map(toPlain)
  const pairs = [...tree.entries].map(([key, entry]): [string, unknown] => [key, toPlain(entry.value)])
  return Object.fromEntries(pairs) // own properties only: a key `__proto__` is a key like any other
}

/** The node at a path; undefined when the path leaves the tree. */
export function nodeAt(tree: Tree, path: Path): Tree | undefined {
  let node: Tree | undefined = tree
  for (const step of path) {
    if (node?.kind === 'map') node = node.entries.get(String(step))?.value
    else if (node?.kind === 'list') node = node.items[Number(step)]
    else return undefined
  }
  return node
}

/** The place of the value at a path, or of the nearest node above it that exists. */
export function placeAt(tree: Tree, path: Path): SourcePosition {
  for (let length = path.length; length > 0; length--) {
    const node = nodeAt(tree, path.slice(0, length))
    if (node !== undefined) return node.place
  }
  return tree.place
}

/** The place of a key of the map at a path. */
export function keyPlaceAt(tree: Tree, path: Path, key: string): SourcePosition {
  const node = nodeAt(tree, path)
  return (node?.kind === 'map' ? node.entries.get(key)?.key : undefined) ?? placeAt(tree, path)
}

/** The tree without the nodes at these paths. */
export function prune(tree: Tree, paths: readonly Path[]): Tree {
  if (paths.length === 0 || tree.kind === 'scalar') return tree
  const below = (step: string): Path[] =>
    paths.filter((path) => path.length > 1 && String(path[0]) === step).map((path) => path.slice(1))
  const gone = new Set(paths.filter((path) => path.length === 1).map((path) => String(path[0])))
  if (tree.kind === 'list') {
    const items = tree.items.flatMap((item, i) =>
      gone.has(String(i)) ? [] : [prune(item, below(String(i)))],
    )
    return { ...tree, items }
  }
  const kept = [...tree.entries].filter(([key]) => !gone.has(key))
  return {
    ...tree,
    entries: new Map(kept.map(([key, entry]) => [key, { ...entry, value: prune(entry.value, below(key)) }])),
  }
}
