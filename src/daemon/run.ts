import { setFlagsFromString } from 'node:v8'
import type { Action } from '../cli/command.ts'
import type { RunArgs } from '../cli/run.ts'
import { EXIT } from '../cli/command.ts'
import { formatProblem } from '../config/problem.ts'
import type { CallDaemon } from '../control/client.ts'
import { HOLDS_LOCK, isSilent } from '../control/silence.ts'
import { createLogger } from '../observe/logger.ts'
import { BackstopDriver } from '../targets/backstop/driver.ts'
import { renderBackstop } from '../targets/backstop/render.ts'
import { DEFAULT_MARKS } from '../config/marks.ts'
import type { Signals } from '../signals.ts'
import { checkPrivileges } from '../system/capabilities.ts'
import { run } from '../system/exec.ts'
import { inheritedSockets } from '../system/inherited-sockets.ts'
import { acquireLock, AlreadyRunningError } from '../system/lock.ts'
import { createServiceManager } from '../system/systemd.ts'
import { UndoStack } from '../system/undo-stack.ts'
import { NoConfigError } from './config-holder.ts'
import { startDaemon } from './daemon.ts'
import { reloadOnSignals } from './reload-signals.ts'

export interface RunContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly pid: number
  readonly signals: Signals
  /** Asks a daemon that runs already. */
  readonly ask: CallDaemon
  readonly runtimeDirectory: string
  /** Removes everything of ours, and the closed guard in this directory; resolves to what could not be removed. */
  readonly removeAll: (stateDirectory: string) => Promise<readonly string[]>
}

/** The daemon in the foreground, until it is told to stop. */
export function runAction(context: RunContext): Action<RunArgs> {
  return async ({ config, confirmMs }, io) => {
    const missing = await checkPrivileges()
    for (const { message } of missing) io.stderr.write(`embargod: ${message}\n`)
    if (missing.some(({ required }) => required)) return EXIT.failed
    const lock = await acquireLock().catch(async (error: unknown) => {
      if (!(error instanceof AlreadyRunningError)) throw error
      const silent = await isSilent(context.ask).catch(() => false)
      throw silent ? new Error(HOLDS_LOCK) : error
    })
    const log = createLogger({ level: 'info', pretty: io.isTTY, color: io.color })
    const service = createServiceManager({
      run,
      environment: context.environment,
      pid: context.pid,
      onError: (error) => log.warn({ err: error }, 'the service manager could not be told'),
    })
    const stop = new AbortController()
    const stopped = new Promise<undefined>((resolve) =>
      stop.signal.addEventListener('abort', () => resolve(undefined)),
    )
    const requestStop = (): void => stop.abort()
    context.signals.onStop(requestStop)
    /** Set when all guards are to be removed at the end. */
    let unguarded: { readonly stateDirectory: string } | undefined
    const undo = new UndoStack()
    const starting = startDaemon(
      {
        configFile: config,
        runtimeDirectory: context.runtimeDirectory,
        inherited: inheritedSockets(context.environment, context.pid),
        stateDirectory: context.environment['STATE_DIRECTORY'],
        run,
        log,
        service,
        requestStop,
        stop: stop.signal,
        onReadable: context.signals.onReadable,
        confirmMs,
        onNoWayBack: (stateDirectory) => {
          unguarded = { stateDirectory }
          requestStop()
        },
      },
      undo,
    )
    // Before the start is done, since without a listener the signal would end the process.
    context.signals.onReload(reloadOnSignals(starting, (error) => log.error({ err: error }, 'reload failed')))
    try {
      const daemon = await Promise.race([starting, stopped])
      await Promise.race([daemon?.enforced, stopped])
      // The start is tuned for speed. From now on garbage is collected before the heap grows, which takes a third less memory.
      if (!daemon?.answersDns()) setFlagsFromString('--optimize-for-size')
      await stopped
      await undo.unwind()
      if (unguarded === undefined) return EXIT.ok
      const failures = await context.removeAll(unguarded.stateDirectory)
      if (failures.length > 0)
        log.error({ failures }, 'some of our rules could not be removed: `embargod cleanup`')
      log.error({}, 'nobody confirmed the first config: this host is no longer guarded, as it was before')
      return EXIT.failed
    } catch (error) {
      if (!(error instanceof NoConfigError)) throw error
      for (const problem of error.problems) io.stderr.write(`${formatProblem(problem)}\n`)
      await closeHost()
      log.error({}, 'no usable config: the host is closed')
      await service.status(`closed, for want of a config: ${error.problems.map(formatProblem).join('; ')}`)
      return EXIT.badConfig
    } finally {
      await lock.release()
    }
  }
}

/** Without a policy nothing may pass. A backstop that is in force is closed enough. */
async function closeHost(): Promise<void> {
  const backstop = new BackstopDriver(run)
  if ((await backstop.read()) === undefined) {
    await backstop.write(
      renderBackstop({ marks: DEFAULT_MARKS, generation: 1, open: [], stacked: [], closed: true }),
    )
  }
}
