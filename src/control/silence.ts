import type { CallDaemon } from './client.ts'
import { DOES_NOT_ANSWER, SilentDaemonError } from './error.ts'

/** Printed by a command that goes on without a daemon that does not answer. */
export const ALONE = `${DOES_NOT_ANSWER}: this is what the kernel and the saved state say`

/** Printed by a command that cannot go on while the daemon holds the lock. */
export const HOLDS_LOCK = `${DOES_NOT_ANSWER} and holds the lock as long as it lives: end its process first (systemctl kill --signal=KILL embargod)`

export interface Asking {
  readonly ask: CallDaemon
  /** Whether the daemon did not answer. */
  readonly isSilent: () => boolean
}

/**
 * For a command that can do without the daemon. When the daemon does not answer, that is printed once, and the command goes on as if no daemon
 * ran. It is not asked again, since each unanswered question takes seconds.
 */
export function askUnlessSilent(ask: CallDaemon, stderr: { write(text: string): unknown }): Asking {
  let silent = false
  return {
    isSilent: () => silent,
    ask: async <T>(name: string, body?: unknown) => {
      if (silent) return undefined
      try {
        return await ask<T>(name, body)
      } catch (error) {
        if (!(error instanceof SilentDaemonError)) throw error
        silent = true
        stderr.write(`embargod: ${ALONE}\n`)
        return undefined
      }
    },
  }
}

/** @param question what is cheap to answer, and what daemons of every version know, unless the caller has one of its own */
export async function isSilent(ask: CallDaemon, question = 'docker'): Promise<boolean> {
  try {
    await ask(question)
    return false
  } catch (error) {
    if (error instanceof SilentDaemonError) return true
    throw error
  }
}
