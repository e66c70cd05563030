import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { PAGES, ROOT } from './pages.ts'

/** Links to files of the repository; those to other sites are not looked at. */
function localTargets(text: string): string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '')
  return links.filter((target) => !/^https?:/.test(target))
}

test.each(PAGES)('every link of $path leads to a file', ({ path, text }) => {
  const dead = localTargets(text).filter((target) => !existsSync(join(ROOT, dirname(path), target)))
  expect(dead).toEqual([])
})

test('every page of docs can be reached from the README', () => {
  const reached = new Set<string>()
  const queue = ['README.md']
  for (const path of queue) {
    if (reached.has(path)) continue
    reached.add(path)
    const page = PAGES.find((one) => one.path === path)
    queue.push(...localTargets(page?.text ?? '').map((target) => join(dirname(path), target)))
  }
  expect(PAGES.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
})
