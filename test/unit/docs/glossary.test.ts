import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PAGES, ROOT } from './pages.ts'

/** Term, meaning and place of each row. */
const rows = (PAGES.find(({ path }) => path === 'docs/glossary.md')?.text ?? '')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| term ') && !line.startsWith('| --- '))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, term = '', meaning = '', where = '']) => ({ term, meaning, where }))

describe('the glossary', () => {
  test('has rows', () => {
    expect(rows.length).toBeGreaterThan(50)
  })

  test.each(rows)('$term stands in $where', ({ meaning, where }) => {
    expect(meaning).not.toBe('')
    const path = /^`((?:src|test|docs|scripts|systemd)\/[\w./-]+)`$/.exec(where)?.[1]
    expect(path, 'the last cell is one path').toBeDefined()
    expect(existsSync(join(ROOT, path ?? ''))).toBe(true)
  })

  test('explains each term once', () => {
    const terms = rows.flatMap(({ term }) => term.split(', '))
    expect(terms.filter((term, index) => terms.indexOf(term) !== index)).toEqual([])
  })
})
