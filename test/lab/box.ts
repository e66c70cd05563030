import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { run, type RunOptions, type RunResult } from '../../src/system/exec.ts'

export type Argv = readonly [string, ...string[]]

/**
 * Namespaces of our own: network and process tree, and mounts where asked. They live as long as their
 * first process, `holder.pl`, which ends when our end of its standard input closes; the kernel then kills
 * whatever runs inside and drops every mount. So a killed test run leaves no process, namespace or mount.
 */
export class Box {
  private constructor(
    private readonly holder: ChildProcess,
    /** The pid, seen from outside, of the first process inside. */
    readonly pid: number,
    private readonly withMounts: boolean,
  ) {}

  static async open(options: { mounts: boolean }): Promise<Box> {
    const flags = [
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      ...(options.mounts ? ['--mount', '--mount-proc'] : []),
    ]
    const holder = spawn('unshare', [...flags, 'perl', HOLDER], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    holder.stdin.on('error', () => undefined)
    let complaint = ''
    holder.stderr.on('data', (chunk) => (complaint += String(chunk)))
    const ready = await Promise.race([
      once(holder.stdout, 'data').then(() => true),
      once(holder, 'close').then(() => false),
    ])
    const pid = holder.pid === undefined ? undefined : onlyChild(holder.pid)
    if (!ready || pid === undefined) throw new Error(`making namespaces: ${complaint}`)
    holder.stdout.destroy()
    holder.stderr.destroy()
    holder.unref()
    return new Box(holder, pid, options.mounts)
  }

  /** The command line that runs `argv` inside; what it starts dies with the process that started it. */
  enter(argv: Argv): Argv {
    return [...enterPrefix(this.pid, this.withMounts), ...argv]
  }

  /** Rejects with `ToolError` on a bad exit code. */
  run(argv: Argv, options: RunOptions = {}): Promise<RunResult> {
    return run(this.enter(argv), options)
  }

  /** Starts a program that stays; its output goes to the end of `logFile`. */
  start(argv: Argv, logFile: string, env: NodeJS.ProcessEnv = process.env): Service {
    const log = openSync(logFile, 'a', 0o600)
    const [file, ...args] = this.enter(argv)
    const child = spawn(file, args, { stdio: ['ignore', log, log], env, detached: true })
    closeSync(log)
    child.unref()
    return new Service(child, logFile)
  }

  /** From now on the box stays when we end; `closeBox` ends it. */
  keep(): void {
    this.holder.stdin?.write('keep\n')
  }

  close(): void {
    closeBox(this.pid)
  }
}

/** Kills the first process of a box, and the kernel all others in it; returns when they are gone. */
export function closeBox(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    return
  }
  const nap = new Int32Array(new SharedArrayBuffer(4))
  for (let waitedMs = 0; isAlive(pid) && waitedMs < 10_000; waitedMs += 10) Atomics.wait(nap, 0, 0, 10)
}

/** True while the process runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z'
  } catch {
    return false
  }
}

export function enterPrefix(pid: number, withMounts: boolean): Argv {
  return [
    'nsenter',
    `--target=${pid}`,
    '--net',
    '--pid',
    ...(withMounts ? ['--mount'] : []),
    '--',
    'setpriv',
    '--pdeathsig=KILL',
    '--',
  ]
}

/** Those that were told to stop would outlive us: nobody else wakes them. */
const stopped = new Set<ChildProcess>()
process.on('exit', () => {
  for (const entering of stopped) entering.kill('SIGCONT')
})

/** A program that runs in a box until it ends or is told to. */
export class Service {
  readonly ended: Promise<number>
  exitCode: number | undefined

  constructor(
    private readonly entering: ChildProcess,
    readonly logFile: string,
  ) {
    this.ended = new Promise((resolve) => {
      entering.once('error', () => resolve((this.exitCode = 127)))
      entering.once('exit', (code) => resolve((this.exitCode = code ?? 137)))
    })
  }

  get log(): string {
    return readFileSync(this.logFile, 'utf8')
  }

  /** nsenter forks to enter a process namespace and forwards no signal: it goes to the program itself. */
  signal(signal: NodeJS.Signals): void {
    const pid = this.pid
    if (pid !== undefined) process.kill(pid, signal)
    if (signal === 'SIGSTOP') stopped.add(this.entering)
    // nsenter stops itself when it sees the program stopped, and would never tell that it ended.
    if (signal === 'SIGCONT') this.entering.kill('SIGCONT')
  }

  /** Seen from outside the box; undefined when it has ended. */
  get pid(): number | undefined {
    return this.entering.pid === undefined || this.exitCode !== undefined
      ? undefined
      : onlyChild(this.entering.pid)
  }

  /** Ends the program and waits for it: SIGTERM, and after `graceMs` SIGKILL. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 10_000): Promise<number> {
    this.signal(signal)
    this.entering.kill('SIGCONT')
    const killer = setTimeout(() => this.signal('SIGKILL'), graceMs)
    const code = await this.ended
    clearTimeout(killer)
    return code
  }
}

function onlyChild(pid: number): number | undefined {
  try {
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]
    return first ? Number(first) : undefined
  } catch {
    return undefined
  }
}

const HOLDER = fileURLToPath(new URL('holder.pl', import.meta.url))
