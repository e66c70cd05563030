/** `bench.ts [--quick] [--containers=N] [--write] [figure…]`: measures the named figures, or all; `--write` puts them into docs/benchmarks.md. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answer } from './answer.ts'
import { bounds } from './bounds.ts'
import { builds } from './builds.ts'
import { connections } from './connections.ts'
import { FULL, QUICK, type Figure } from './figure.ts'
import { fresh } from './fresh.ts'
import { gateway } from './gateway.ts'
import { idle } from './idle.ts'
import { idlePass } from './idle-pass.ts'
import { machineFacts } from './machine.ts'
import { names } from './names.ts'
import { network } from './network.ts'
import { asMarkdown, asText, type Measured } from './report.ts'
import { policies } from './policies.ts'
import { start } from './start.ts'
import { tunnel } from './tunnel.ts'
import { throughput } from './throughput.ts'

const FIGURES: readonly Figure[] = [
  throughput,
  connections,
  answer,
  idlePass,
  start,
  names,
  idle,
  network,
  policies,
  fresh,
  gateway,
  builds,
  tunnel,
  bounds,
]

const options = process.argv.slice(2)
const wanted = options.filter((option) => !option.startsWith('-'))
const unknown = [
  ...wanted.filter((name) => !FIGURES.some((figure) => figure.name === name)),
  ...options.filter(
    (option) => option.startsWith('-') && !/^--(quick|write|containers=[1-9]\d*)$/.test(option),
  ),
]
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; figures are ${FIGURES.map(({ name }) => name).join(', ')}`)
  process.exit(64)
}
const usual = options.includes('--quick') ? QUICK : FULL
const containers = /--containers=(\d+)/.exec(options.join(' '))?.[1]
const scale = { ...usual, containers: Number(containers ?? usual.containers) }
const facts = await machineFacts()
for (const [fact, value] of facts) console.log(`${fact.padEnd(8)} ${value}`)
console.log('')

const measured: Measured[] = []
let failed = 0
for (const figure of FIGURES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  try {
    const result = { figure, findings: await figure.measure(scale) }
    measured.push(result)
    console.log(asText(result))
    // After each figure: what was measured is kept, should the rest be called off.
    if (options.includes('--write')) write()
  } catch (error) {
    failed += 1
    console.error(`${figure.title}: could not be measured`, error)
  }
}
const missed = measured.flatMap(({ findings }) => findings).filter(({ met }) => met === false)
console.log(`${missed.length} missed, ${failed} not measured`)
// A resolver or an engine's client may still hold a socket.
process.exit(failed > 0 || missed.length > 0 ? 1 : 0)

function write(): void {
  const file = join(import.meta.dirname, '../../docs/benchmarks.md')
  writeFileSync(file, asMarkdown(measured, facts, ['npm run bench --', ...options].join(' ')))
}
