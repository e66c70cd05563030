import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../src/observe/logger.ts'
import { prettyLine } from '../../../src/observe/pretty.ts'

function capture(pretty: boolean) {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { lines, log: createLogger({ level: 'info', pretty, destination }) }
}

describe('the log', () => {
  it('is one JSON object a line with level, time and message', () => {
    const { log, lines } = capture(false)
    log.debug('not shown')
    log.info({ network: 'shop' }, 'network guarded')
    expect(lines).toHaveLength(1)
    expect(lines[0]?.endsWith('}\n')).toBe(true)
    const record: unknown = JSON.parse(lines[0] ?? '')
    expect(record).toMatchObject({ level: 'info', network: 'shop', msg: 'network guarded' })
    expect(record).not.toHaveProperty('pid')
  })

  it.each([true, false])('never passes a control or bidi character on (pretty: %s)', (pretty) => {
    const { log, lines } = capture(pretty)
    log.warn({ ['k\x1b']: 'a\x9b2J\u202e\x7f', nested: { name: '\u2028\n' } }, 'message\x1b]0;x\x07')
    log.error({ err: new Error('boom\u202e\x1b[2J') }, 'failed')
    expect(lines.join('').replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    expect(lines[0]?.match(/\n/g)).toHaveLength(1)
  })

  it('shows an error with its cause to people', () => {
    const { log, lines } = capture(true)
    log.error({ err: new Error('reading DOCKER-USER', { cause: new Error('lock held') }) }, 'pass failed')
    expect(lines.join('')).toContain('pass failed')
    expect(lines.join('')).toContain('reading DOCKER-USER')
    expect(lines.join('')).toContain('lock held')
  })
})

describe('prettyLine', () => {
  it('is time, level, message and fields', () =>
    expect(
      prettyLine(
        '{"level":"warn","time":"2026-01-02T03:04:05.678Z","msg":"look-up failed","name":"a.b","n":1}',
        false,
      ),
    ).toBe('03:04:05.678 WARN  look-up failed name=a.b n=1\n'))
  it('shows what is no record as it came, made safe', () =>
    expect(prettyLine('oops\x1b\n', false)).toBe('oops\\x1b\n'))
})
