import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { referenceProgram } from '../../../scripts/command-reference.ts'
import { configSchemaNode } from '../../../src/config/json-schema.ts'
import { problemsIn } from '../config/files.ts'
import { codeBlocks, PAGES, ROOT, type Page } from './pages.ts'

const KEYS = Object.keys(configSchemaNode().properties ?? {})
/** What the examples refer to, beside the config file. */
const LIST_FILES = { '/etc/embargod/lists/partners.txt': 'partner.example.com\n' }

/** A YAML block is a config when it begins with a key of the config, perhaps after comments. */
const isConfig = (text: string): boolean =>
  KEYS.includes(/^(\w+):/.exec(text.replaceAll(/^(#.*)?\n/gm, ''))?.[1] ?? '')

const configs = PAGES.flatMap(({ path, text }) =>
  codeBlocks(text)
    .filter((block) => block.language === 'yaml' && isConfig(block.text))
    .map((block) => ({ place: `${path}:${block.line}`, yaml: block.text })),
)

test.each(configs)('`embargod check` accepts the example at $place', async ({ yaml }) => {
  const problems = await problemsIn(yaml, LIST_FILES)
  expect(problems.filter((problem) => !/^\S+ (warning|note): /.test(problem))).toEqual([])
})

test('the pages for operators have examples', () => {
  const pages = new Set(configs.map(({ place }) => place.split(':')[0]))
  expect([...pages]).toEqual(
    expect.arrayContaining(['README.md', 'docs/configure.md', 'docs/gateway.md', 'docs/policies.md']),
  )
})

const COMMANDS = new Set(referenceProgram().commands.map((command) => command.name()))
const SCRIPTS = new Set(Object.keys(packageScripts()))

/** What follows one of these words in code, as in `embargod status`. */
function named(page: Page, pattern: RegExp): string[] {
  const code = [
    ...codeBlocks(page.text).map(({ text }) => text),
    ...[...page.text.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text ?? ''),
  ]
  return code.flatMap((text) => [...text.matchAll(pattern)].map(([, name]) => name ?? ''))
}

test.each(PAGES)('$path names commands and scripts that exist', (page) => {
  const commands = named(page, /^(?:[#$] )?embargod ([a-z][a-z-]*)/gm)
  expect(commands.filter((name) => !COMMANDS.has(name))).toEqual([])
  const scripts = named(page, /\bnpm run (?:-s )?([a-z][a-z:-]*)/g)
  expect(scripts.filter((name) => !SCRIPTS.has(name))).toEqual([])
})

test('the README names the two commands that show and test it', () => {
  const readme = PAGES.find(({ path }) => path === 'README.md')?.text ?? ''
  expect(readme).toMatch(/^npm run demo\b/m)
  expect(readme).toMatch(/^npm test\b/m)
  expect(readme.split('\n').length).toBeLessThan(140)
})

function packageScripts(): Record<string, string> {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  return scripts
}
