/**
 * `main.ts [--engine 28.5|all] [--quick] [--write] [disturbance…]`: does the named disturbances, or all, and counts what gets
 * out. `--write` puts the table into docs/leaks.md. Exits with 1 when something leaked or failed.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machineFacts } from '../../bench/machine.ts'
import { chosenEngine, ENGINE_VERSIONS } from '../engines.ts'
import { DISTURBANCES } from './all.ts'
import { asMarkdown, asText } from './report.ts'
import { measure, type Measured } from './run.ts'

const misuse = (words: string): never => {
  console.error(words)
  process.exit(64)
}
const { values, positionals } = (() => {
  try {
    return parseArgs({
      options: { engine: { type: 'string' }, quick: { type: 'boolean' }, write: { type: 'boolean' } },
      allowPositionals: true,
    })
  } catch (error) {
    return misuse(error instanceof Error ? error.message : String(error))
  }
})()
const unknown = positionals.filter((name) => !DISTURBANCES.some((one) => one.name === name))
if (unknown.length > 0)
  misuse(
    `unknown: ${unknown.join(', ')}; disturbances are ${DISTURBANCES.map(({ name }) => name).join(', ')}`,
  )
const wanted = values.engine ?? chosenEngine()
const engines = ENGINE_VERSIONS.filter((version) => wanted === 'all' || version === wanted)
if (engines.length === 0) misuse(`unknown engine ${wanted}; engines are ${ENGINE_VERSIONS.join(', ')}, all`)

const disturbances = DISTURBANCES.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const machine = await machineFacts()
const measured: Measured[] = []
for (const engine of engines) {
  console.log(`engine ${engine}`)
  const results = await measure({
    engine,
    disturbances,
    rates: { embargod: 20_000, nobody: 2_000, script: 2_500 },
    scale: values.quick ? 0.1 : 1,
    onFailure: ({ name }, guard, words) => console.log(`  ${guard}, ${name}: ${words}`),
    onReading: ({ name }, guard, { leaked, seconds, requests, wholeMs, sent }) =>
      console.log(
        `  ${guard}, ${name}: leaked ${leaked.ipv4} / ${leaked.ipv6} of ${sent.ipv4} / ${sent.ipv6}, ` +
          `failed ${requests.failed}, late ${requests.late} of ${requests.fetched + requests.failed}, ${seconds.toFixed(1)} s, whole after ${wholeMs.toFixed(0)} ms`,
      ),
  })
  measured.push(...results)
  measured.sort(
    (one, other) => disturbances.indexOf(one.disturbance) - disturbances.indexOf(other.disturbance),
  )
  // After each engine: what was measured is kept, should the rest be called off.
  if (values.write) write()
}
console.log(`\n${asText(measured)}`)
process.exit(measured.some(({ faults }) => faults.length > 0) ? 1 : 0)

function write(): void {
  const file = join(import.meta.dirname, '../../../docs/leaks.md')
  const facts = machine.filter(([fact]) => fact !== 'engine')
  const command = ['npm run leaks --', ...process.argv.slice(2)].join(' ')
  writeFileSync(file, asMarkdown(measured, facts, command))
}
