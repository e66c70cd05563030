import { createInterface } from 'node:readline/promises'
import { composeActions } from './actions.ts'
import type { Io } from './cli/command.ts'
import { runCommandLine } from './cli/program.ts'
import type { Signals } from './signals.ts'
import { VERSION } from './version.ts'

const { env, stdin, stdout, stderr } = process

const signals: Signals = {
  onStop: (listener) => {
    process.on('SIGTERM', listener)
    process.on('SIGINT', listener)
  },
  onReload: (listener) => {
    process.on('SIGHUP', listener)
  },
  onReadable: (listener) => {
    process.on('SIGURG', listener)
  },
}

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: stdin, output: stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}

const io: Io = {
  stdout,
  stderr,
  isTTY: stdout.isTTY,
  color: stdout.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
  ...(stdout.isTTY ? { columns: stdout.columns } : {}),
  ...(stdin.isTTY && stderr.isTTY ? { confirm } : {}),
}

// A reader that has seen enough (`| head`) is no failure. The log of the daemon has a descriptor of its own.
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

const actions = composeActions({ environment: env, pid: process.pid, signals })
/** A function, since the bundle is CommonJS, which has no await at its top. */
async function main(): Promise<never> {
  const exitCode = await runCommandLine(process.argv.slice(2), actions, VERSION, io)
  // A pipe may not have taken everything yet; and sockets or timers that a command left behind must not keep the process alive.
  for (const stream of [stdout, stderr])
    await new Promise<void>((resolve) => void stream.write('', () => resolve()))
  process.exit(exitCode)
}

void main()
