import type { Run } from './exec.ts'

/** Messages to the service manager. Without a manager every method does nothing. */
export interface ServiceManager {
  /** How often to send a sign of life: half of the manager's limit. Undefined when it does not watch us. */
  readonly watchdogIntervalMs: number | undefined
  ready(status: string): Promise<void>
  status(status: string): Promise<void>
  reloading(): Promise<void>
  watchdog(): Promise<void>
  stopping(): Promise<void>
}

export interface ServiceManagerOptions {
  readonly run: Run
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly pid: number
  /** Called when a message could not be sent. The manager's own time limits then decide what happens. */
  readonly onError: (error: unknown) => void
}

/** Node has no unix datagram sockets, so `systemd-notify` sends for us. The unit needs `NotifyAccess=all`. */
export function createServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { run, environment, pid, onError } = options
  const send = async (...fields: string[]): Promise<void> => {
    const socket = environment['NOTIFY_SOCKET']
    if (!socket) return
    try {
      // It waits until the manager has read the message, since the manager cannot find the unit of a process that has ended.
      await run(['systemd-notify', `--pid=${pid}`, ...fields], { env: { NOTIFY_SOCKET: socket } })
    } catch (error) {
      onError(error)
    }
  }
  return {
    watchdogIntervalMs: watchdogInterval(environment, pid),
    ready: (status) => send('READY=1', statusField(status)),
    status: (status) => send(statusField(status)),
    reloading: () => send('RELOADING=1', statusField('reloading')),
    watchdog: () => send('WATCHDOG=1'),
    stopping: () => send('STOPPING=1', statusField('stopping; the rules stay')),
  }
}

/** One line: a line break would start another field. */
const statusField = (status: string): string => `STATUS=${status.replace(/\p{Cc}+/gu, ' ').slice(0, 500)}`

function watchdogInterval(
  environment: ServiceManagerOptions['environment'],
  pid: number,
): number | undefined {
  const watched = environment['WATCHDOG_PID']
  if (watched !== undefined && watched !== String(pid)) return undefined
  const usec = Number(environment['WATCHDOG_USEC'])
  return Number.isSafeInteger(usec) && usec > 0 ? Math.max(1, Math.floor(usec / 2000)) : undefined
}
