import { expect, describe, it } from 'vitest'
import { check } from '../../../src/cli/check.ts'
import { schemaText } from '../../../src/cli/schema.ts'
import { fakeEnv, MAIN } from '../config/files.ts'

async function checked(text: string) {
  const lines: string[] = []
  const exitCode = await check(MAIN, fakeEnv({ [MAIN]: text }), (line) => lines.push(line))
  return { exitCode, lines }
}

describe('check', () => {
  it.each([
    ['allow: [a.example]', '1 entry'],
    ['allow: [a.example, b.example:443]', '2 entries'],
    ['allow: []', 'no entries'],
  ])('accepts %s', async (text, count) =>
    expect(await checked(text)).toEqual({ exitCode: 0, lines: [`${MAIN}: accepted; ${count}`] }),
  )

  it('accepts with a warning, and says so', async () => {
    const { exitCode, lines } = await checked('allow: ["a.example:any"]')
    expect(exitCode).toBe(0)
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/embargod\.yaml:1:\d+: warning: /)
    expect(lines[1]).toBe(`${MAIN}: accepted with 1 warning; 1 entry`)
  })

  it('prints all problems with their places and refuses', async () => {
    const { exitCode, lines } = await checked('denyWith: shout\nallow: [a..b]\n')
    expect(exitCode).toBe(2)
    expect(lines[0]).toMatch(/embargod\.yaml:1:\d+: /)
    expect(lines[1]).toMatch(/embargod\.yaml:2:\d+: /)
    expect(lines[2]).toBe(`${MAIN}: refused: 2 errors`)
  })
})

it('schema prints JSON Schema', () => {
  expect(JSON.parse(schemaText())).toMatchObject({ type: 'object', properties: { allow: {}, smtp: {} } })
})
