import { createServer } from 'node:net'

/**
 * A name in the abstract socket space, which belongs to the network namespace, as do the rules: one daemon a firewall,
 * however many containers or mount namespaces there are. The kernel frees it with the process, so it is never stale.
 */
const LOCK_NAME = '\0embargod'

export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError'
}

export interface Lock {
  release(): Promise<void>
}

/** Held until released or the process ends. Rejects with {@link AlreadyRunningError}. */
export async function acquireLock(name = LOCK_NAME): Promise<Lock> {
  const server = createServer((connection) => connection.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new AlreadyRunningError(
              'another embargod runs on this host; its lock is the abstract unix socket @embargod (see ss -xlp)',
              { cause: error },
            )
          : new Error('taking the lock', { cause: error }),
      ),
    )
    server.listen(name, resolve)
  })
  server.on('error', () => undefined)
  server.unref()
  return { release: () => new Promise((resolve) => server.close(() => resolve())) }
}
