import type * as z from 'zod'
import { explainIssue, problemsOf } from './issues.ts'
import type { Problem } from './model.ts'
import { configSchema, type ConfigOutput } from './schema.ts'
import { nodeAt, prune, toPlain, type Path, type Tree } from './tree.ts'

/** Sections and lists for which `key:` with nothing behind it can only mean what their absence means. */
const MAY_BE_EMPTY: readonly Path[] = [
  ['docker'],
  ['guard'],
  ['guard', 'except'],
  ['guard', 'ignoreInterfaces'],
  ['guard', 'marks'],
  ['resolver'],
  ['resolver', 'servers'],
  ['resolver', 'refresh'],
  ['dns'],
  ['dns', 'servers'],
  ['dns', 'upstreams'],
  ['allow'],
  ['policies'],
  ['never'],
  ['metadata'],
  ['metadata', 'extra'],
  ['log'],
  ['metrics'],
]

export interface Validated {
  /** What is left when every faulty value is taken out, so that the rules across values can still be judged. */
  readonly config: ConfigOutput | undefined
  /** The tree of what is left: its indexes are those of `config`. */
  readonly tree: Tree
  readonly unusable: readonly Path[]
  readonly problems: readonly Problem[]
}

/** Holds a tree against the schema. */
export function validate(whole: Tree): Validated {
  const tree = dropEmpty(whole)
  const first = parse(tree)
  if (first.success) return { config: first.data, tree, unusable: [], problems: [] }
  const { problems, unusable } = problemsOf(first.error.issues, tree)
  const rest = prune(tree, unusable)
  const second = parse(rest)
  return { config: second.success ? second.data : undefined, tree: rest, unusable, problems }
}

const parse = (tree: Tree): z.ZodSafeParseResult<ConfigOutput> =>
  configSchema.safeParse(toPlain(tree), { error: explainIssue })

const dropEmpty = (tree: Tree): Tree =>
  prune(
    tree,
    MAY_BE_EMPTY.filter((path) => {
      const node = nodeAt(tree, path)
      return node?.kind === 'scalar' && node.value === null
    }),
  )
