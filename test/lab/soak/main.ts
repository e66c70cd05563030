/**
 * `main.ts [--minutes N] [--seed N] [--steps] [--write]`: five minutes by default, a seed of its own unless one is given;
 * `--steps` prints each step. `--write` puts the figures into docs/soak.md. Exits with 1 when something was not as it has to be.
 */
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machineFacts } from '../../bench/machine.ts'
import { asMarkdown, asText } from './report.ts'
import { soak } from './soak.ts'

const misuse = (words: string): never => {
  console.error(words)
  process.exit(64)
}
const { values } = (() => {
  try {
    return parseArgs({
      options: {
        minutes: { type: 'string', default: '5' },
        seed: { type: 'string', default: String(randomInt(1_000_000)) },
        steps: { type: 'boolean' },
        write: { type: 'boolean' },
      },
    })
  } catch (error) {
    return misuse(error instanceof Error ? error.message : String(error))
  }
})()
const [minutes, seed] = [Number(values.minutes), Number(values.seed)]
if (!(minutes > 0)) misuse(`--minutes: ${values.minutes} is no number of minutes`)
if (!Number.isSafeInteger(seed)) misuse(`--seed: ${values.seed} is no whole number`)

console.log(`seed ${seed}, ${minutes} min`)
const soaked = await soak({
  seed,
  minutes,
  onStep: (step, names, faults) => {
    if (values.steps || faults.length > 0) console.log(`  step ${step} ${names.join(', ')}`)
    for (const fault of faults) console.log(`    FAULT ${fault}`)
  },
  onSample: (
    { atS, rssMb, fds, sockets, children, lagMs, chains, sets },
    { leaked, failed, cut, starved, fetched },
  ) =>
    console.log(
      `${(atS / 60).toFixed(1).padStart(5)} min: ${rssMb.toFixed(1)} MB, ${fds} fds (${sockets} sockets), ${children} children, ` +
        `loop ${lagMs.toFixed(1)} ms, ${chains} chains, ${sets} sets; leaked ${leaked}, failed ${failed - cut - starved} (+${cut} cut, ${starved} starved) of ${fetched + failed}`,
    ),
})
console.log(`\n${asText(soaked)}`)
if (values.write) {
  const command = `npm run soak -- --minutes ${minutes} --seed ${seed}`
  writeFileSync(
    join(import.meta.dirname, '../../../docs/soak.md'),
    asMarkdown(soaked, await machineFacts(), command),
  )
}
process.exit(soaked.faults.length > 0 ? 1 : 0)
