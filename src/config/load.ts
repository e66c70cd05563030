import { dirname, isAbsolute, join } from 'node:path'
import type { ConfigEnv } from './env.ts'
import { expandEntries, type OpenList } from './expand.ts'
import { mergeTrees } from './merge.ts'
import type { Config, Problem } from './model.ts'
import { sortProblems } from './problem.ts'
import { readTrusted, reasonOf } from './read-file.ts'
import { judge, type PlacedEntry } from './rules.ts'
import type { ConfigOutput } from './schema.ts'
import { makeSource, placed, problemAt, type SourceText } from './source.ts'
import { placeAt, type Path, type Tree } from './tree.ts'
import { toConfig } from './to-config.ts'
import { validate } from './validate.ts'
import { readYaml } from './yaml.ts'

const MIB = 1024 * 1024
export const MAX_CONFIG_BYTES = MIB
export const MAX_LIST_BYTES = 16 * MIB

export interface LoadedConfig {
  /** Absent when any problem is an error. */
  readonly config?: Config
  /** Where a value of the config stands, or what is nearest above it. Present where the config is. */
  readonly placeOf?: (path: Path) => Pick<Problem, 'file' | 'line' | 'column'>
  /** Every problem of every file, by place. */
  readonly problems: readonly Problem[]
  /** Every file that was read, list files included. */
  readonly sources: readonly { readonly file: string; readonly text: string }[]
}

/**
 * `file`, then `conf.d/*.yaml` beside it, to a {@link Config}. Never rejects for what the files are or hold: that is in `problems`.
 * List files are relative to the folder of `file`.
 */
export async function loadConfig(file: string, env: ConfigEnv): Promise<LoadedConfig> {
  const loading = new Loading(file, env)
  return loading.load()
}

class Loading {
  readonly #problems: Problem[] = []
  readonly #sources = new Map<string, SourceText>()
  readonly #reportedFaults = new Set<string>()
  readonly #files: Pick<ConfigEnv, 'read' | 'pathFaults'> = {
    read: (path, maxBytes) => this.env.read(path, maxBytes),
    pathFaults: (path) => this.#newFaults(path),
  }

  constructor(
    private readonly file: string,
    private readonly env: ConfigEnv,
  ) {}

  async load(): Promise<LoadedConfig> {
    const trees: Tree[] = []
    for (const path of [this.file, ...(await this.#confD())]) {
      const tree = await this.#readConfig(path)
      if (tree !== undefined) trees.push(tree)
    }
    const merged = mergeTrees(trees)
    this.#problems.push(...merged.problems)
    const config = merged.tree === undefined ? undefined : await this.#judge(merged.tree)
    const problems = sortProblems(this.#problems, [...this.#sources.keys()])
    const sources = [...this.#sources.values()].map(({ file, text }) => ({ file, text }))
    const refused = problems.some((problem) => problem.severity === 'error')
    const { tree } = merged
    if (refused || config === undefined || tree === undefined) return { problems, sources }
    return { config, problems, sources, placeOf: (path) => placed(placeAt(tree, path)) }
  }

  async #confD(): Promise<string[]> {
    const directory = join(dirname(this.file), 'conf.d')
    try {
      const names = await this.env.list(directory)
      // Who can write to the directory can add a file to it.
      const faults = await this.#newFaults(join(directory, 'x'))
      this.#problems.push(...faults.map((fault) => aboutFile(directory, `a file in it ${fault}`)))
      const visible = names.filter((name) => !name.startsWith('.')).toSorted((a, b) => (a < b ? -1 : 1))
      for (const name of visible.filter((other) => !other.endsWith('.yaml'))) {
        const message = 'the file is ignored: in conf.d only *.yaml files are read'
        this.#problems.push({ ...aboutFile(join(directory, name), message), severity: 'warning' })
      }
      return visible.filter((name) => name.endsWith('.yaml')).map((name) => join(directory, name))
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== 'does not exist') this.#problems.push(aboutFile(directory, reason))
      return []
    }
  }

  /** The faults of a path that were not reported yet: many files share a directory, and its fault is reported once. */
  async #newFaults(path: string): Promise<string[]> {
    const faults = (await this.env.pathFaults(path)).filter((fault) => !this.#reportedFaults.has(fault))
    for (const fault of faults) this.#reportedFaults.add(fault)
    return faults
  }

  async #readConfig(path: string): Promise<Tree | undefined> {
    const found = await readTrusted(this.#files, path, MAX_CONFIG_BYTES)
    if ('reasons' in found) {
      this.#problems.push(...found.reasons.map((reason) => aboutFile(path, `the file ${reason}`)))
      return undefined
    }
    const source = this.#keep(path, found.text)
    const { tree, problems } = readYaml(source)
    this.#problems.push(...problems)
    if (tree === undefined || tree.kind === 'map') return tree
    this.#problems.push(
      problemAt(
        tree.place,
        `a config is a map of keys, like "allow:", and not a ${tree.kind === 'list' ? 'list' : 'single value'}`,
      ),
    )
    return undefined
  }

  async #judge(whole: Tree): Promise<Config | undefined> {
    const { config, tree, unusable, problems } = validate(whole)
    this.#problems.push(...problems.filter((problem) => !this.#isReported(problem)))
    if (whole.kind === 'map' && whole.entries.size === 0) {
      this.#problems.push(
        problemAt(
          whole.place,
          'the config is empty: every network is guarded and nothing is allowed',
          'warning',
        ),
      )
    }
    if (config === undefined) return undefined
    const lists = new Map<string, readonly PlacedEntry[]>()
    for (const { owner, allow, path } of listsOf(config)) {
      const expanded = await expandEntries(allow, path, tree, this.#openList)
      this.#problems.push(...expanded.problems)
      lists.set(owner, expanded.entries)
    }
    const nowMs = this.env.nowMs()
    this.#problems.push(...judge({ config, lists: [...lists.values()], tree, unusable, nowMs }))
    return toConfig(config, (owner) => lists.get(owner)?.map(({ entry }) => entry) ?? [])
  }

  /** A node that YAML could not give a value to was named already. */
  #isReported(problem: Problem): boolean {
    return this.#problems.some(
      (known) =>
        known.file === problem.file && known.line === problem.line && known.column === problem.column,
    )
  }

  readonly #openList: OpenList = async (name, place, problems) => {
    const path = isAbsolute(name) ? name : join(dirname(this.file), name)
    const known = this.#sources.get(path)
    if (known !== undefined) return known
    const found = await readTrusted(this.#files, path, MAX_LIST_BYTES)
    if ('text' in found) return this.#keep(path, found.text)
    problems.push(...found.reasons.map((reason) => problemAt(place, `the list file ${path} ${reason}`)))
    return undefined
  }

  #keep(path: string, text: string): SourceText {
    const source = makeSource(path, text)
    this.#sources.set(path, source)
    return source
  }
}

const aboutFile = (file: string, message: string): Problem => ({
  severity: 'error',
  file,
  line: 1,
  column: 1,
  message,
})

/** The common list, and that of every policy. */
const listsOf = (config: ConfigOutput) => [
  { owner: '', allow: config.allow, path: ['allow'] },
  ...Object.entries(config.policies).map(([id, { allow }]) => ({
    owner: id,
    allow,
    path: ['policies', id, 'allow'],
  })),
]
