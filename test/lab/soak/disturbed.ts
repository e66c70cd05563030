import type { Disturbance } from '../leak/disturbance.ts'
import { DAEMON } from '../leak/daemon.ts'
import { ENGINE } from '../leak/engine.ts'
import { RULES } from '../leak/rules.ts'
import { SETS } from '../leak/sets.ts'
import type { Action } from './action.ts'

const ENDS_DAEMON = new Set(['daemon-kill', 'daemon-upgrade', 'daemon-stopped'])

/** What the leak meter does once, here between everything else. */
export const DISTURBED: readonly Action[] = [
  ...RULES.map((one) => asAction(one, 2)),
  ...SETS.map((one) => asAction(one, 2)),
  ...ENGINE.map((one) => asAction(one, 1)),
  ...DAEMON.map((one) => asAction(one, 1)),
]

function asAction({ name, cuts, run }: Disturbance, weight: number): Action {
  return {
    name,
    weight,
    ...(cuts === undefined ? {} : { cuts }),
    endsDaemon: ENDS_DAEMON.has(name),
    run: (host) => run(host),
  }
}
