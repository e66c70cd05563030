import { describe, expect, it } from 'vitest'
import { formatProblem, sortProblems } from '../../../src/config/problem.ts'
import { problemsIn } from './files.ts'

const problem = {
  severity: 'error',
  file: '/etc/a.yaml',
  line: 3,
  column: 7,
  message: 'no such thing',
} as const

describe('a problem on a line', () => {
  it('has its place first, and says when it is a warning', () => {
    expect(formatProblem(problem)).toBe('/etc/a.yaml:3:7: no such thing')
    expect(formatProblem({ ...problem, severity: 'warning' })).toBe('/etc/a.yaml:3:7: warning: no such thing')
  })

  it('lets no control or bidi character of the file reach the terminal', async () => {
    const lines = await problemsIn('allow: ["a\\u001b[2J\\u202e\\u0007.example"]\n"\\e]0;x": 1\n')
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })

  it('stands where its place says, files in the order they are read, and once', () => {
    const later = { ...problem, line: 10 }
    const other = { ...problem, file: '/etc/conf.d/0.yaml', line: 1 }
    expect(sortProblems([other, later, problem, later], ['/etc/a.yaml', '/etc/conf.d/0.yaml'])).toEqual([
      problem,
      later,
      other,
    ])
  })
})
