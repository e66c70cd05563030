import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Alias, Document, ParsedNode, YAMLMap } from 'yaml'
import { deeperThan } from './yaml-depth.ts'
import type { Problem } from './model.ts'
import { problemAt, type SourcePosition, type SourceText } from './source.ts'
import type { MapTree, Tree } from './tree.ts'

/** More nodes or more depth than any config has: an alias bomb. */
const MAX_NODES = 200_000
const MAX_DEPTH = 40

/** So many are named; a file of another kind given by mistake has 100,000. */
const MAX_FAULTS = 100
const TOO_DEEP = 'the file nests or repeats too much'

const FRIENDLY: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'a second document starts here (a line "---"): one file is one document',
  TAB_AS_INDENT: 'tabs cannot indent YAML: use spaces',
}

/** Text to tree; an empty document is an empty map. Every syntax problem has its place, and then there may be no tree. */
export function readYaml(source: SourceText): {
  readonly tree: Tree | undefined
  readonly problems: readonly Problem[]
} {
  const tooDeep = deeperThan(MAX_DEPTH, source.text)
  if (tooDeep !== undefined)
    return { tree: undefined, problems: [problemAt({ source, offset: tooDeep }, TOO_DEEP)] }
  const document = parseDocument(source.text, { prettyErrors: false, uniqueKeys: false })
  const faults = [...document.errors, ...document.warnings].slice(0, MAX_FAULTS)
  const problems = faults.map((fault) =>
    problemAt({ source, offset: fault.pos[0] }, FRIENDLY[fault.code] ?? `YAML: ${firstLine(fault.message)}`),
  )
  if (document.errors.length > 0) return { tree: undefined, problems }
  if (document.contents === null) return { tree: emptyMap(source), problems }
  const reader = new TreeReader(source, document)
  const tree = reader.read(document.contents, 0)
  return { tree, problems: [...problems, ...reader.problems] }
}

export const emptyMap = (source: SourceText): MapTree => ({
  kind: 'map',
  place: { source, offset: 0 },
  entries: new Map(),
})

class TreeReader {
  readonly problems: Problem[] = []
  #nodes = 0
  #gaveUp = false

  constructor(
    private readonly source: SourceText,
    private readonly document: Document,
  ) {}

  read(
    node: ParsedNode | null,
    depth: number,
    fallback: SourcePosition = { source: this.source, offset: 0 },
  ): Tree {
    if (node === null) return { kind: 'scalar', place: fallback, value: null }
    const place = { source: this.source, offset: node.range[0] }
    this.#nodes++
    if (this.#nodes > MAX_NODES || depth > MAX_DEPTH) return this.#giveUp(place)
    if (isAlias(node)) return this.#readAlias(node, place, depth)
    if (isScalar(node)) return { kind: 'scalar', place, value: node.value }
    if (isSeq(node))
      return { kind: 'list', place, items: node.items.map((item) => this.read(item, depth + 1, place)) }
    if (isMap(node)) return this.#readMap(node, place, depth)
    return this.#refuse(place, 'this is no value that a config can hold')
  }

  #readMap(node: YAMLMap.Parsed, place: SourcePosition, depth: number): Tree {
    const entries = new Map<string, { key: SourcePosition; value: Tree }>()
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : undefined
      const keyPlace = { source: this.source, offset: pair.key.range[0] }
      if (key === undefined) this.problems.push(problemAt(keyPlace, 'a key is a plain word'))
      // The parser's own look for them compares each key with each.
      else if (entries.has(key)) this.problems.push(problemAt(keyPlace, 'this key is in the same map twice'))
      else entries.set(key, { key: keyPlace, value: this.read(pair.value, depth + 1, keyPlace) })
    }
    return { kind: 'map', place, entries }
  }

  /** The aliased value, placed where the alias stands. */
  #readAlias(alias: Alias.Parsed, place: SourcePosition, depth: number): Tree {
    const target = alias.resolve(this.document)
    if (target === undefined) {
      const wildcard = alias.source.startsWith('.') || alias.source.startsWith('*')
      return this.#refuse(
        place,
        wildcard
          ? `"*${alias.source}" needs quotes: to YAML a star in front is something else`
          : `"*${alias.source}" names an anchor that is not there`,
      )
    }
    return { ...this.read(target as ParsedNode, depth + 1, place), place }
  }

  /** Said once: a bomb has a million places. */
  #giveUp(place: SourcePosition): Tree {
    if (!this.#gaveUp) this.problems.push(problemAt(place, TOO_DEEP))
    this.#gaveUp = true
    return { kind: 'scalar', place, value: undefined }
  }

  #refuse(place: SourcePosition, message: string): Tree {
    this.problems.push(problemAt(place, message))
    return { kind: 'scalar', place, value: undefined }
  }
}

const firstLine = (text: string): string => text.split('\n')[0] ?? text
