import type { Problem } from './model.ts'

/** `file:line:col: message`, on one line, with nothing in it that could steer a terminal. */
export function formatProblem(problem: Problem): string {
  const message = problem.severity === 'error' ? problem.message : `${problem.severity}: ${problem.message}`
  return printable(`${problem.file}:${problem.line}:${problem.column}: ${message}`)
}

/** By place, each said once. */
export function sortProblems(problems: readonly Problem[], fileOrder: readonly string[]): Problem[] {
  const rank = (file: string): number =>
    fileOrder.includes(file) ? fileOrder.indexOf(file) : fileOrder.length
  const unique = new Map(problems.map((problem) => [formatProblem(problem), problem]))
  return [...unique.values()].toSorted(
    (a, b) =>
      rank(a.file) - rank(b.file) ||
      (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) ||
      a.line - b.line ||
      a.column - b.column,
  )
}

/** Control, bidi and other invisible characters as `\u{…}`. */
const printable = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  )
