import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { PAGES, ROOT } from './pages.ts'

/** Links to files of the repository; those to other sites are not looked at. */
function localTargets(text: string): string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '')
  return links.filter((target) => !/^https?:/.test(target))
}

/** As code hosts make anchors of headings. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )

function leads(from: string, target: string): boolean {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? from : join(dirname(from), file)
  if (anchor === undefined) return existsSync(join(ROOT, path))
  const page = PAGES.find((one) => one.path === path)
  return page !== undefined && anchorsOf(page.text).includes(anchor)
}

test.each(PAGES)('every link of $path leads to a file or a heading', ({ path, text }) => {
  expect(localTargets(text).filter((target) => !leads(path, target))).toEqual([])
})

test('every page of docs can be reached from the README', () => {
  const reached = new Set<string>()
  const queue = ['README.md']
  for (const path of queue) {
    if (reached.has(path)) continue
    reached.add(path)
    const page = PAGES.find((one) => one.path === path)
    const targets = localTargets(page?.text ?? '').map((target) => target.split('#')[0] ?? '')
    queue.push(...targets.map((target) => join(dirname(path), target)))
  }
  expect(PAGES.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
})
