import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const LAB = join(import.meta.dirname, '../../lab')
const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/compatibility.md'), 'utf8')

/** The last column of each row: the test's file and its title. */
const rows = PAGE.split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (-|\w+ \| what was tried \|)/.test(line))
  .map((line) => /\| `([a-z0-9-]+)`: (.+) \|$/.exec(line)?.slice(1) ?? [line])

/** A test file with what it has from beside it, where titles of a table may stand. */
function textOf(file: string): string {
  const text = readFileSync(join(LAB, file), 'utf8')
  const beside = [...text.matchAll(/from '\.\/(leak\/[a-z-]+\.ts)'/g)].map(([, path]) => path ?? '')
  // The disturbances of the leak meter are gathered from files of their own.
  const folder = beside.length > 0 ? readdirSync(join(LAB, 'leak')).map((name) => join('leak', name)) : []
  return [
    text,
    ...folder.filter((name) => name.endsWith('.ts')).map((name) => readFileSync(join(LAB, name), 'utf8')),
  ].join('\n')
}

test('the page has rows', () => {
  expect(rows.length).toBeGreaterThan(20)
})

test.each(rows)('%s: %s', (file, title) => {
  expect(title, 'a row names `file`: title').toBeDefined()
  expect(textOf(`${file}.test.ts`)).toContain(title)
})
