import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { IpsetSession } from '../../../../src/targets/ipset/session.ts'
import { scratchDirectory } from '../../../support/scratch.ts'

/** Writes down what it is told, complains of some lines, and ends or hangs at others. */
const STAND_IN = `#!/bin/sh
while read -r line; do
  echo "$line" >>"$0.log"
  case $line in
    version) echo 'ipset v7.19, protocol version: 7';;
    *bad*) echo "ipset v7.19: Syntax error: $line" >&2;;
    *die*) exit 1;;
    *hang*) exec sleep 60;;
  esac
done
`

let file = ''
let session: IpsetSession
beforeEach(async () => {
  const directory = await scratchDirectory()
  file = join(directory, 'ipset')
  await writeFile(file, STAND_IN)
  await chmod(file, 0o755)
  vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`)
  session = new IpsetSession()
})
afterEach(async () => {
  await session.close()
})

const lines = async () => (await readFile(`${file}.log`, 'utf8')).trim().split('\n')
const outcome = (writing: Promise<void>) =>
  writing.then(
    () => 'written',
    (error: Error) => error.message,
  )

test('lines are written in order', async () => {
  await session.write(['add a 1', 'add a 2'])
  await session.write(['add a 3'])
  expect(await lines()).toEqual(['add a 1', 'add a 2', 'version', 'add a 3', 'version'])
})

test('what is asked for while it writes is written together', async () => {
  const first = session.write(['add a 0'])
  await new Promise((resolve) => setImmediate(resolve))
  await Promise.all([first, ...Array.from({ length: 100 }, (_, at) => session.write([`add b ${at}`]))])
  const written = await lines()
  expect(written).toHaveLength(103)
  expect(written.filter((line) => line === 'version')).toHaveLength(2)
})

test('a line that is refused fails what was written with it, and nothing after', async () => {
  const together = [session.write(['add a 1']), session.write(['add bad 1'])].map(outcome)
  for (const told of await Promise.all(together)) expect(told).toContain('Syntax error: add bad 1')
  expect(await outcome(session.write(['add a 2']))).toBe('written')
})

test('its end fails what was on its way, and another one is started', async () => {
  expect(await outcome(session.write(['die']))).toMatch(/ipset/)
  await vi.waitFor(async () => expect(await outcome(session.write(['add a 2']))).toBe('written'))
})

test('one that hangs is given up', async () => {
  const impatient = new IpsetSession(200)
  expect(await outcome(impatient.write(['hang']))).toContain('no answer within 0.2 s')
  await vi.waitFor(async () => expect(await outcome(impatient.write(['add a 2']))).toBe('written'))
  await impatient.close()
})

test('nothing is written after its end', async () => {
  await session.write(['add a 1'])
  await session.close()
  expect(await outcome(session.write(['add a 2']))).not.toBe('written')
  expect(await lines()).toEqual(['add a 1', 'version'])
})
