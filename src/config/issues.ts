import type * as z from 'zod'
import { knownKeys } from './json-schema.ts'
import type { Problem } from './model.ts'
import { nearest } from './near.ts'
import { problemAt } from './source.ts'
import { keyPlaceAt, nodeAt, placeAt, type Path, type Tree } from './tree.ts'

const KINDS: Readonly<Record<string, string>> = {
  object: 'a map of keys',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

/** Clearer words for zod's general messages. A schema with a message of its own keeps that. */
export function explainIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === null) return `must be ${KINDS[issue.expected] ?? issue.expected}, and has no value`
    const found = typeof issue.input
    if (issue.expected === 'string' && (found === 'number' || found === 'boolean'))
      return 'must be a text: put it in quotes'
    return `must be ${KINDS[issue.expected] ?? issue.expected}`
  }
  if (issue.code === 'invalid_union') return 'has none of the forms that are known here'
  return undefined
}

/** Every issue with its place, and the paths of the values that cannot be used. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  tree: Tree,
): { readonly problems: readonly Problem[]; readonly unusable: readonly Path[] } {
  const flat = issues.flatMap((issue) => flatten(issue, []))
  return {
    problems: flat.flatMap((issue) => toProblems(issue, tree)),
    unusable: flat.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => wholeEntry([...issue.path, key]))
        : [wholeEntry(issue.path)],
    ),
  }
}

/** An entry that is wrong in one point is unusable as a whole: without its `until`, say, it would be another entry. */
const wholeEntry = (path: Path): Path =>
  path[0] === 'allow'
    ? path.slice(0, 2)
    : path[0] === 'policies' && path[2] === 'allow'
      ? path.slice(0, 4)
      : path

function toProblems(issue: z.core.$ZodIssue, tree: Tree): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => problemAt(keyPlaceAt(tree, issue.path, key), unknownKey(issue.path, key)))
  }
  const place = placeAt(tree, issue.path)
  const node = nodeAt(tree, issue.path)
  if (issue.path.join('.') === 'mode' && node?.kind === 'scalar' && node.value === 'audit') {
    return [problemAt(place, 'mode: audit is not supported by this version: the one mode is enforce')]
  }
  const name = pathText(issue.path)
  const message =
    /^(must|is|has)\b/.test(issue.message) && name !== '' ? `${name} ${issue.message}` : issue.message
  return [problemAt(place, message)]
}

function unknownKey(path: Path, key: string): string {
  const meant = nearest(key, knownKeys(path))
  const shown = JSON.stringify(key.length > 60 ? `${key.slice(0, 57)}...` : key)
  return `unknown key ${shown}${meant === undefined ? '' : `: did you mean ${meant}?`}`
}

/** Of a union the branch that the value was meant for: the one that has no objection to its type as such. */
function flatten(issue: z.core.$ZodIssue, prefix: Path): z.core.$ZodIssue[] {
  const path = [...prefix, ...issue.path]
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.find((branch) => !branch.some(isWrongKind))
    if (meant !== undefined) return meant.flatMap((inner) => flatten(inner, path))
  }
  return [{ ...issue, path }]
}

function isWrongKind(issue: z.core.$ZodIssue): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_union') return issue.errors.every((branch) => branch.some(isWrongKind))
  return issue.code === 'invalid_type' || issue.code === 'invalid_value'
}

const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`,
    '',
  )
