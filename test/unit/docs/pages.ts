import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../../..')

export interface Page {
  /** Relative to the root of the repository. */
  readonly path: string
  readonly text: string
}

/** Every page that people read, by its path. */
export const PAGES: readonly Page[] = [
  ...namesOf('.'),
  ...namesOf('docs').map((name) => join('docs', name)),
  'test/lab/README.md',
].map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))

export interface CodeBlock {
  readonly language: string
  readonly text: string
  /** The line of its first line in the page, from 1. */
  readonly line: number
}

/** The fenced blocks of a page. */
export function codeBlocks(text: string): CodeBlock[] {
  return [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? '',
    text: match[2] ?? '',
    line: text.slice(0, match.index).split('\n').length + 1,
  }))
}

function namesOf(directory: string): string[] {
  return readdirSync(join(ROOT, directory)).filter((name) => name.endsWith('.md'))
}
