import { sanitise } from './sanitise.ts'

const COLOURS: Readonly<Record<string, number>> = { debug: 36, info: 32, warn: 33, error: 31, fatal: 35 }

/**
 * One JSON log line as a person reads it: `12:00:00.000 WARN  message  key=value`; stacks follow, indented.
 * A line that is no JSON object is shown as it came, sanitised.
 */
export function prettyLine(json: string, color: boolean): string {
  const record = parse(json)
  if (record === undefined) return `${sanitise(json.trimEnd())}\n`
  const { level, time, msg, err, ...fields } = record
  const label = String(level).toUpperCase().padEnd(5)
  const code = COLOURS[String(level)]
  const parts = [
    sanitise(String(time)).slice(11, 23),
    color && code !== undefined ? `\x1b[${code}m${sanitise(label)}\x1b[0m` : sanitise(label),
    typeof msg === 'string' ? sanitise(msg) : '',
    ...Object.entries(fields).map(([key, value]) => `${sanitise(key)}=${show(value)}`),
  ]
  return `${parts.join(' ')}\n${errorLines(err)}`
}

function parse(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

const show = (value: unknown): string =>
  typeof value === 'string' && /^[\w.:/@-]+$/.test(value) ? value : sanitise(JSON.stringify(value) ?? '')

function errorLines(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  const text = 'stack' in error && error.stack ? error.stack : 'message' in error ? error.message : ''
  return String(text)
    .split('\n')
    .map((line) => `    ${sanitise(line)}\n`)
    .join('')
}
