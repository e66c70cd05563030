import type { Aftermath } from '../control/protocol.ts'
import { sanitise } from '../observe/sanitise.ts'
import type { Io } from './command.ts'

/** Prints what does not work after a change, and what of the change a restart would lose. The change is in force all the same. */
export function tellAftermath({ notWorking = [], unsaved }: Aftermath, io: Io): void {
  for (const sentence of notWorking) io.stderr.write(`embargod: ${sanitise(sentence)}\n`)
  if (unsaved !== undefined)
    io.stderr.write(`embargod: it is in force, but a restart would not find it: ${sanitise(unsaved)}\n`)
}
