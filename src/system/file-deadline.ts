const DEFAULT_TIMEOUT_MS = 5_000
/**
 * Work on files that is still running after its time limit. Each piece occupies one of the four threads that Node has for files. So while two of them
 * hang, no further work is begun: a file system that does not answer would otherwise stop all reading and writing.
 */
const MOST_HANGING = 2
let hanging = 0

/**
 * Waits for work on files no longer than the limit. A disk or a server that does not answer cannot be interrupted, so the work itself goes on.
 * Rejects with the `code` `ETIMEDOUT` when the time is over, or when so much hangs already that nothing more is begun.
 * @param doing begins the message of that error, such as `reading /etc/hosts`
 * @param ofKernel the file is the kernel's own, so it is read even while disks hang: see {@link isOfKernel}
 */
export async function inTime<T>(
  doing: string,
  work: () => Promise<T>,
  timeoutMs = DEFAULT_TIMEOUT_MS,
  ofKernel = false,
): Promise<T> {
  if (hanging >= MOST_HANGING && !ofKernel) throw timedOut(doing, 'other files do not answer')
  const working = work()
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      hanging += 1
      const back = (): void => void (hanging -= 1)
      working.then(back, back)
      reject(timedOut(doing, `no answer within ${timeoutMs / 1000} s`))
    }, timeoutMs)
  })
  try {
    return await Promise.race([working, overdue])
  } finally {
    clearTimeout(timer)
  }
}

/** Is this a file that the kernel generates, and that lies on no disk? Below /proc/PID/root there may be any file. */
export const isOfKernel = (path: string): boolean => /^\/(proc|sys)\//.test(path) && !path.includes('/root/')

export const isTimeout = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ETIMEDOUT'

const timedOut = (doing: string, why: string): Error =>
  Object.assign(new Error(`${doing}: ${why}`), { code: 'ETIMEDOUT' })
