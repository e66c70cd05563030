import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PAGES, ROOT, type Page } from './pages.ts'

const pageOf = (path: string): Page => {
  const page = PAGES.find((one) => one.path === path)
  if (page === undefined) throw new Error(`there is no page ${path}`)
  return page
}

/** Files and folders of the repository that stand in code, as in `src/config/marks.ts`; those with a placeholder are left out. */
const named = (text: string): string[] =>
  [...text.matchAll(/`((?:src|test|scripts|systemd|deploy)\/[\w./-]*)`/g)]
    .map(([, path]) => path ?? '')
    .filter((path) => !path.includes('NAME'))

test.each(PAGES)('every file that $path names is there', ({ text }) => {
  expect(named(text).filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

test('the rooms of the design are the folders of src', () => {
  const table = /^## Rooms\n([^]*?)^## /m.exec(pageOf('DESIGN.md').text)?.[1] ?? ''
  const firstCells = table.split('\n').map((line) => line.split('|')[1] ?? '')
  const rooms = firstCells
    .filter((cell) => !cell.includes('folders'))
    .flatMap((cell) => cell.match(/\w+/g) ?? [])
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
  expect(rooms.toSorted()).toEqual(
    folders
      .filter((one) => one.isDirectory())
      .map(({ name }) => name)
      .toSorted(),
  )
})

describe('what comes in from outside', () => {
  const tests = new Set(
    readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.test.ts'))
      .map((path) => path.replace(/^.*\//, '').replace('.test.ts', '')),
  )
  const lastCells = pageOf('docs/trust-boundaries.md')
    .text.split('\n')
    .filter((line) => line.startsWith('| ') && line.includes('`'))
    .map((line) => line.replace(/ \|$/, '').split('|').at(-1) ?? '')

  test.each(lastCells.filter((cell) => cell.includes('`')))('names tests that are there:%s', (cell) => {
    const missing = [...cell.matchAll(/`([a-z0-9-]+)`/g)].filter(([, name]) => !tests.has(name ?? ''))
    expect(missing.map(([, name]) => name)).toEqual([])
  })
})
