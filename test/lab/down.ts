/** Removes labs that nobody owns any more, and with `--all` kept and running ones too. */
import { findLabs, takeDown } from './leftovers.ts'

const all = process.argv.includes('--all')
const labs = findLabs().filter((lab) => all || lab.stale || lab.kept)
for (const lab of labs) {
  takeDown(lab)
  console.log(`removed lab ${lab.name}`)
}
if (labs.length === 0) console.log('no lab to remove')
