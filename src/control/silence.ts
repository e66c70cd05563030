import type { CallDaemon } from './client.ts'
import { DOES_NOT_ANSWER, SilentDaemonError } from './error.ts'

/** What a command says that goes on without a daemon that is silent. */
export const ALONE = `${DOES_NOT_ANSWER}: this is what the kernel and the saved state say`

/** What a command says that needs the daemon to end first. */
export const HOLDS_LOCK = `${DOES_NOT_ANSWER} and holds the lock as long as it lives: end its process first (systemctl kill --signal=KILL embargod)`

export interface Asking {
  readonly ask: CallDaemon
  /** Was the daemon silent? */
  readonly isSilent: () => boolean
}

/**
 * For a command that can do without the daemon: one that is silent is told of once, and from then on the command goes as where none runs. It is
 * asked no second time, since each question that nobody answers takes seconds.
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
