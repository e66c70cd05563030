import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'
import type { LogLevel } from '../config/model.ts'
import { prettyLine } from './pretty.ts'
import { sanitiseJson } from './sanitise.ts'

export type { Logger } from 'pino'

export interface LoggerOptions {
  readonly level: LogLevel
  /** Lines for people, as on a terminal; otherwise one JSON object a line. */
  readonly pretty: boolean
  readonly color?: boolean
  /** Default: file descriptor 1, written synchronously, so that a crash loses no line. */
  readonly destination?: DestinationStream
}

export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true })
  const write = options.pretty
    ? (line: string) => destination.write(prettyLine(line, options.color ?? false))
    : (line: string) => destination.write(`${sanitiseJson(line.trimEnd())}\n`)
  return pino(
    {
      level: options.level,
      // The journal and the container runtime know host and process.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
}
