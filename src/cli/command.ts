import { InvalidArgumentError, type Command } from 'commander'
import { parseDuration } from '../config/duration.ts'

/** Where a command writes, and who reads it. */
export interface Io {
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
  /** Whether a person reads stdout. */
  readonly isTTY: boolean
  readonly color: boolean
  /** Columns of the terminal; undefined where there is none. */
  readonly columns?: number
  /** Asks a person yes or no; undefined where there is no terminal. */
  readonly confirm?: (question: string) => Promise<boolean>
}

/** What a command does, given its parsed arguments; resolves to the exit code. */
export type Action<Args> = (args: Args, io: Io) => Promise<number>

/** Runs an action and passes on its exit code. */
export type Bind = <Args>(action: Action<Args>, args: Args) => Promise<void>

export const EXIT = {
  ok: 0,
  failed: 1,
  badConfig: 2,
  changes: 3,
  degraded: 4,
  notRunning: 5,
  denied: 6,
  unproven: 7,
  misuse: 64,
} as const

export const DEFAULT_CONFIG_FILE = '/etc/embargod/embargod.yaml'

export interface ConfigArgs {
  readonly config: string
}

export interface ConfirmArgs {
  /** How long the config is on trial; absent: it is accepted at once. */
  readonly confirmMs?: number
}

export type NoArgs = Readonly<Record<string, never>>

export const configOption = (command: Command): Command =>
  command.option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG_FILE)

export const confirmOption = (command: Command): Command =>
  command.option(
    '--confirm <duration>',
    'return to the previous configuration unless `embargod confirm` is run within this time (5s to 1h)',
    (text) => parseDurationOption(text, 5_000, 3_600_000, 'between 5s and 1h'),
  )

/** @throws InvalidArgumentError saying the bounds */
export function parseDurationOption(text: string, leastMs: number, mostMs: number, bounds: string): number {
  const parsed = parseDuration(text)
  if ('reason' in parsed) throw new InvalidArgumentError(parsed.reason)
  if (parsed.ms < leastMs || parsed.ms > mostMs) throw new InvalidArgumentError(bounds)
  return parsed.ms
}

/** Examples and exit codes below the help of a command. */
export function explainUse(
  command: Command,
  examples: readonly string[],
  exitCodes: Readonly<Record<number, string>>,
): Command {
  const codes = Object.entries(exitCodes).map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`)
  const lines = ['', 'Examples:', ...examples.map((example) => `  ${example}`), '', 'Exit codes:', ...codes]
  return command.addHelpText('after', lines.join('\n'))
}
