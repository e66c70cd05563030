import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')
const LONG = 250

test('DESIGN.md says why each file of more than 250 lines is so long, and how long it is', () => {
  const long = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({
      file,
      lines: readFileSync(join(ROOT, 'src', file), 'utf8').split('\n').length - 1,
    }))
    .filter(({ lines }) => lines > LONG)
  const design = readFileSync(join(ROOT, 'DESIGN.md'), 'utf8')
  const told = [...design.matchAll(/^\| `([\w/.-]+\.ts)` \| (\d+) \| \S/gm)].map(([, file, lines]) => ({
    file,
    lines: Number(lines),
  }))
  const byName = (one: { file?: string | undefined }, other: { file?: string | undefined }): number =>
    (one.file ?? '').localeCompare(other.file ?? '')
  expect(told.toSorted(byName)).toEqual(long.toSorted(byName))
})
