import fc from 'fast-check'
import { expect, test } from 'vitest'
import { renderTable } from '../../../src/cli/table.ts'
import { formatProblem } from '../../../src/config/problem.ts'
import { createLogger } from '../../../src/observe/logger.ts'
import { jsonText } from '../../../src/observe/sanitise.ts'

/** Names and labels that others choose, wherever they are shown: nothing of them steers a terminal, and no line becomes two. */

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    '\x1b]0;root\x07',
    '\x9b2J',
    '\u202egnp',
    'a\r\nb',
    '\u2028',
    '\ud800',
    '{"level":"error"}',
    '__proto__',
  ),
)
const linesOf = (text: string): string[] => text.split('\n').slice(0, -1)

test.each([true, false])('the log (pretty: %s)', (pretty) => {
  fc.assert(
    fc.property(hostile, hostile, hostile, (name, key, label) => {
      let text = ''
      const log = createLogger({ level: 'info', pretty, destination: { write: (line) => (text += line) } })
      const error = new Error(`reading ${name}`, { cause: new Error(label) })
      error.stack = `Error: ${name}`
      log.warn({ container: name, labels: { [key]: label }, list: [label] }, 'a container')
      log.error({ err: error, [`x${key}`]: name }, `of ${name}`)
      expect(text.endsWith('\n')).toBe(true)
      for (const line of linesOf(text)) expect(line).not.toMatch(UNSAFE)
      if (!pretty) expect(linesOf(text)).toHaveLength(2)
    }),
    { numRuns: 500, seed: 7 },
  )
})

test('what commands print', () => {
  fc.assert(
    fc.property(hostile, hostile, (name, label) => {
      expect(linesOf(renderTable(['name', 'label'], [[name, label]]))).toHaveLength(2)
      const problem = { severity: 'error' as const, file: name, line: 1, column: 1, message: label }
      for (const text of [
        renderTable(['name', 'label'], [[name, label]]),
        jsonText({ [name]: [label] }),
        `${formatProblem(problem)}\n`,
      ])
        for (const line of linesOf(text)) expect(line).not.toMatch(UNSAFE)
    }),
    { numRuns: 1000, seed: 7 },
  )
})
