import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const UNITS = new URL('../../../systemd/', import.meta.url)
const MOUNTS =
  /^(Protect(?!Clock)\w+|Private\w+|(ReadOnly|ReadWrite|Inaccessible|Bind|BindReadOnly)Paths|TemporaryFileSystem|RootDirectory)=/m

const units = readdirSync(UNITS)
  .map((name) => ({ name, text: readFileSync(new URL(name, UNITS), 'utf8') }))
  .filter(({ text }) => text.includes('DefaultDependencies=no') && text.includes('[Service]'))

/** While mounts come and go, a unit that sets up some of its own fails with status 226, and what is ordered after it no longer waits. */
describe('what runs before the mounts of a boot are done', () => {
  test('is looked for', () =>
    expect(units.map(({ name }) => name)).toEqual(['embargod-early.service', 'embargod-saved-sets.service']))

  test.each(units)('$name sets up no mounts', ({ text }) => expect(text).not.toMatch(MOUNTS))

  test('is known when it does', () => expect('User=root\nProtectSystem=strict\n').toMatch(MOUNTS))
})
