import { execa, ExecaError } from 'execa'

export interface RunOptions {
  readonly input?: string
  /** After this time the child and everything that it started are killed. Default 10 seconds. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Environment variables for this tool, beside PATH and the locale. */
  readonly env?: Readonly<Record<string, string>>
  /** Exit codes beside 0 that are an answer and not a failure. */
  readonly okExitCodes?: readonly number[]
}

export interface RunResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

/** The one door to other programs: no shell, `LC_ALL=C`, a time limit. Rejects with {@link ToolError}. */
export type Run = (argv: readonly [string, ...string[]], options?: RunOptions) => Promise<RunResult>

/** A program that could not be started, failed, or did not end in time. */
export class ToolError extends Error {
  override readonly name = 'ToolError'
  constructor(
    message: string,
    /** `missing`: no such program; `timeout`: killed by our limit; `failed`: a bad exit code or a signal. */
    readonly kind: 'missing' | 'timeout' | 'failed',
    readonly argv: readonly string[],
    readonly exitCode: number | undefined,
    readonly stderr: string,
    /** The last 2,000 characters of its input. */
    readonly inputTail: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Where programs are searched for when the environment has no PATH. */
export const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export const run: Run = async (argv, options = {}) => {
  const [file, ...args] = argv
  const timeoutMs = options.timeoutMs ?? 10_000
  let deadline: NodeJS.Timeout | undefined
  try {
    const child = execa(file, args, {
      input: options.input ?? '',
      killSignal: 'SIGKILL',
      // A process group of its own. A tool may be a script, and when only the script is killed, its child keeps our pipe open.
      detached: true,
      maxBuffer: 512 * 1024 * 1024,
      stripFinalNewline: false,
      // Only what a tool needs: copying our own environment costs more than all else in this call.
      extendEnv: false,
      env: { LC_ALL: 'C', PATH: process.env['PATH'] ?? SEARCH_PATH, ...options.env },
      ...(options.signal ? { cancelSignal: options.signal } : {}),
    })
    const overdue = new Promise<never>((_, reject) => {
      deadline = setTimeout(() => {
        killGroup(child.pid)
        // Rejects without waiting for the end of the process: one that sleeps in the kernel outlives the kill.
        const message = `${argv.slice(0, 6).join(' ')}: no answer within ${timeoutMs / 1000} s`
        reject(new ToolError(message, 'timeout', argv, undefined, '', tailOf(options)))
      }, timeoutMs)
    })
    const result = await Promise.race([child, overdue])
    return { stdout: result.stdout, stderr: result.stderr, exitCode: 0 }
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error
    const exitCode = error.exitCode
    const stdout = typeof error.stdout === 'string' ? error.stdout : ''
    const stderr = typeof error.stderr === 'string' ? error.stderr : ''
    if (exitCode !== undefined && options.okExitCodes?.includes(exitCode)) return { stdout, stderr, exitCode }
    const kind = error.code === 'ENOENT' ? 'missing' : 'failed'
    const detail = stderr.trim().split('\n').slice(0, 5).join('; ')
    throw new ToolError(
      kind === 'missing'
        ? `${file}: no such program`
        : `${argv.slice(0, 6).join(' ')}: ${detail || error.shortMessage}`,
      kind,
      argv,
      exitCode,
      stderr,
      tailOf(options),
      { cause: error },
    )
  } finally {
    clearTimeout(deadline)
  }
}

const tailOf = ({ input = '' }: RunOptions): string => input.slice(-2000)

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // The process has ended meanwhile.
  }
}
