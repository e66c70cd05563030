import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderMetricsReference } from '../src/observe/catalogue.ts'
import { renderCommandReference } from './command-reference.ts'
import { renderConfigReference } from '../src/config/reference.ts'

/** Writes the reference pages from the code they describe; with `--check` it only says which are out of date. */
const pages = {
  'config.md': renderConfigReference(),
  'metrics.md': renderMetricsReference(),
  'commands.md': renderCommandReference(),
}

const directory = join(import.meta.dirname, '..', 'docs')
const checking = process.argv.includes('--check')

function current(name: string): string {
  try {
    return readFileSync(join(directory, name), 'utf8')
  } catch {
    return ''
  }
}

mkdirSync(directory, { recursive: true })
for (const [name, text] of Object.entries(pages)) {
  if (current(name) === text) continue
  if (checking) {
    console.error(`docs/${name} is out of date: run npm run docs`)
    process.exitCode = 1
  } else {
    writeFileSync(join(directory, name), text)
    console.log(`docs/${name} written`)
  }
}
