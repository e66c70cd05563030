/**
 * `main.ts [--engine 28.5|all] [--quick] [--seed N] [--write] [attack…]`: plays the named attacks, or all, and counts what arrives.
 * `--write` puts the table into docs/attacks.md. Exits with 1 when something arrived that must not, or an attack could not be played.
 */
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machineFacts } from '../../bench/machine.ts'
import { chosenEngine, ENGINE_VERSIONS } from '../engines.ts'
import { ATTACKS } from './all.ts'
import { asMarkdown, asText } from './report.ts'
import { type Outcome, playAll } from './run.ts'

const misuse = (words: string): never => {
  console.error(words)
  process.exit(64)
}
const { values, positionals } = (() => {
  try {
    return parseArgs({
      options: {
        engine: { type: 'string' },
        quick: { type: 'boolean', default: false },
        seed: { type: 'string', default: String(randomInt(1_000_000)) },
        write: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    })
  } catch (error) {
    return misuse(error instanceof Error ? error.message : String(error))
  }
})()
const unknown = positionals.filter((name) => !ATTACKS.some((one) => one.name === name))
if (unknown.length > 0)
  misuse(`unknown: ${unknown.join(', ')}; attacks are ${ATTACKS.map(({ name }) => name).join(', ')}`)
const seed = Number(values.seed)
if (!Number.isSafeInteger(seed)) misuse(`--seed: ${values.seed} is no whole number`)
const wanted = values.engine ?? chosenEngine()
const engines = ENGINE_VERSIONS.filter((version) => wanted === 'all' || version === wanted)
if (engines.length === 0) misuse(`unknown engine ${wanted}; engines are ${ENGINE_VERSIONS.join(', ')}, all`)

const attacks = ATTACKS.filter(({ name, quick }) =>
  positionals.length > 0 ? positionals.includes(name) : !values.quick || quick === true,
)
const machine = await machineFacts()
const outcomes: Outcome[] = []
for (const engine of engines) {
  console.log(`engine ${engine}, seed ${seed}`)
  const played = await playAll({
    engine,
    attacks,
    seed,
    quick: values.quick,
    onOutcome: ({ attack, control, guarded, impossible, faults }) => {
      if (impossible) return console.log(`  ${attack.name}: not on this kernel`)
      console.log(
        `  ${attack.name}: ${guarded?.arrived ?? '-'} of ${guarded?.sent ?? '-'} arrived; without the guard ${control?.arrived ?? '-'}`,
      )
      for (const fault of faults) console.log(`    ${fault.slice(0, 600)}`)
    },
  })
  outcomes.push(...played)
  outcomes.sort((one, other) => attacks.indexOf(one.attack) - attacks.indexOf(other.attack))
  // After each engine: what was counted is kept, should the rest be called off.
  if (values.write) write()
}
console.log(`\n${asText(outcomes)}`)
process.exit(outcomes.some(({ faults }) => faults.length > 0) ? 1 : 0)

function write(): void {
  const file = join(import.meta.dirname, '../../../docs/attacks.md')
  const facts = machine.filter(([fact]) => fact !== 'engine')
  const rest = process.argv.slice(2).filter((word) => word !== '--seed' && word !== values.seed)
  const command = ['npm run attack --', ...rest, '--seed', values.seed].join(' ')
  writeFileSync(file, asMarkdown(outcomes, facts, command))
}
