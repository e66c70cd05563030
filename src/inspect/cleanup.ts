import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Action } from '../cli/command.ts'
import { EXIT } from '../cli/command.ts'
import type { CleanupArgs } from '../cli/cleanup.ts'
import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import type { CallDaemon } from '../control/client.ts'
import { HOLDS_LOCK, isSilent } from '../control/silence.ts'
import { CLOSED_GUARD_FILE } from '../state/closed-guard.ts'
import { DEFAULT_STATE } from '../state/state-directories.ts'
import { OWNED_TABLE } from '../dataplane/names.ts'
import { createDrivers, type HostDrivers } from '../host/drivers.ts'
import { FLAVOURS } from '../targets/iptables/driver.ts'
import { removeBindings } from '../targets/bindings/render.ts'
import { removeHostNetwork } from '../targets/host-network/host-network.ts'
import { BackstopDriver } from '../targets/backstop/driver.ts'
import { removeBackstop } from '../targets/backstop/render.ts'
import { removeLeftovers } from '../proof/prove.ts'
import type { Run } from '../system/exec.ts'
import { acquireLock, AlreadyRunningError, type Lock } from '../system/lock.ts'
import { errorMessage } from '../system/errors.ts'

const STOP_MS = 30_000

const DOES_NOT_STOP = 'the daemon does not stop'
const RUNS = 'the daemon is running and would put everything back: stop it first, or say --stop'

/** Removes everything of ours and nothing else. Holds the daemon's lock, so that no daemon starts meanwhile. */
export const cleanupAction =
  (ask: CallDaemon, run: Run): Action<CleanupArgs> =>
  async ({ stop, config }, io) => {
    const hears = stop ? !(await isSilent(ask, 'stop')) : undefined
    const lock = await lockWithin(hears ? STOP_MS : 0)
    if (!lock) {
      const silent = hears === undefined ? await isSilent(ask) : !hears
      io.stderr.write(`embargod: ${silent ? HOLDS_LOCK : stop ? DOES_NOT_STOP : RUNS}\n`)
      return EXIT.failed
    }
    try {
      const state = (await loadConfig(config, hostConfigEnv)).config?.state ?? DEFAULT_STATE
      const { removed, failures } = await removeAll(run, state)
      io.stdout.write(
        removed.length === 0 ? 'nothing of ours was there\n' : removed.map((line) => `${line}\n`).join(''),
      )
      for (const failure of failures) io.stderr.write(`embargod: ${failure}\n`)
      return failures.length === 0 ? EXIT.ok : EXIT.failed
    } finally {
      await lock.release()
    }
  }

async function lockWithin(waitMs: number): Promise<Lock | undefined> {
  const deadlineMs = Date.now() + waitMs
  for (;;) {
    try {
      return await acquireLock()
    } catch (error) {
      if (!(error instanceof AlreadyRunningError)) throw error
      if (Date.now() >= deadlineMs) return undefined
      await sleep(100)
    }
  }
}

/** Removes rules first, since sets cannot be removed while rules name them. When one part fails, the others are removed all the same. */
export async function removeAll(
  run: Run,
  stateDirectory: string,
): Promise<{ removed: string[]; failures: string[] }> {
  const drivers = createDrivers(run)
  const removed: string[] = []
  const failures: string[] = []
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      failures.push(`${what}: ${errorMessage(error)}`)
    }
  }
  for (const flavour of FLAVOURS) {
    await attempt(`reading rules (iptables-${flavour})`, async () => {
      for (const change of await drivers.iptables.removal(flavour)) {
        const { family, table, summary } = change
        await attempt(`removing rules (iptables-${flavour}, IPv${family})`, async () => {
          await drivers.iptables.write(change)
          removed.push(...summary.map((line) => `IPv${family} ${table}: ${line}`))
        })
      }
    })
  }
  await attempt('removing the backstop', async () => {
    if ((await drivers.backstop.read()) === undefined) return
    await drivers.backstop.write(removeBackstop())
    removed.push('removed the backstop table')
  })
  await attempt('removing the bindings', async () => {
    if ((await drivers.bindings.read()) === undefined) return
    await drivers.bindings.write(`${removeBindings}\n`)
    removed.push('removed the bindings table')
  })
  await attempt('removing the host network table', async () => {
    if ((await drivers.hostNetwork.read()) === undefined) return
    await drivers.hostNetwork.write(`${removeHostNetwork}\n`)
    removed.push('removed the host network table')
  })
  await attempt('removing the held table', async () => {
    // The kernel removes the owned table together with its owner. One that is still there was loaded by somebody from a listing.
    const owned = new BackstopDriver(run, OWNED_TABLE)
    if (!(await staysInPlace(owned))) return
    await owned.write(removeBackstop(OWNED_TABLE))
    removed.push('removed the held backstop table')
  })
  await attempt('removing what a proof left', async () => {
    if (await removeLeftovers(run)) removed.push('removed what a proof that was killed had left')
  })
  await attempt('reading the sets', async () => {
    // One at a time, so that a set which somebody else's rule names does not keep the others.
    for (const { name } of await drivers.ipset.headers()) {
      await attempt(`removing set ${name}`, async () => {
        await destroy(name, drivers.ipset)
        removed.push(`removed set ${name}`)
      })
    }
  })
  await attempt('removing the closed guard for the next boot', () =>
    rm(join(stateDirectory, CLOSED_GUARD_FILE), { force: true }),
  )
  return { removed, failures }
}

/** The owned table of a daemon that was killed goes within a moment. */
async function staysInPlace(table: BackstopDriver): Promise<boolean> {
  for (let tries = 1; tries <= 20; tries += 1) {
    if ((await table.read()) === undefined) return false
    await sleep(50)
  }
  return true
}

/** The kernel keeps a set busy for a moment after the last rule that named it is removed. */
async function destroy(name: string, ipset: HostDrivers['ipset']): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await ipset.write([`destroy ${name}`])
      return
    } catch (error) {
      if (tries === 20) throw error
      await sleep(50)
    }
  }
}
