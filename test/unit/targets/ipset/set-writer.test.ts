import { openSync } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SetWriter } from '../../../../src/targets/ipset/set-writer.ts'
import type { Libc } from '../../../../src/system/libc.ts'
import { scratchDirectory } from '../../../support/scratch.ts'

const STAND_IN = `#!/bin/sh
while read -r line; do
  echo "$line" >>"$0.log"
  [ "$line" = version ] && echo 'ipset v7.19, protocol version: 7'
done
`
const ADDITIONS = [
  { set: 'one', writes: [{ element: '192.0.2.1', timeoutSeconds: 60, comment: 'a.example' }] },
  { set: 'two', writes: [{ element: '192.0.2.2', timeoutSeconds: 60, comment: 'b.example' }] },
]

let ipset = ''
let writer: SetWriter | undefined
beforeEach(async () => {
  const directory = await scratchDirectory()
  ipset = join(directory, 'ipset')
  await writeFile(ipset, STAND_IN)
  await chmod(ipset, 0o755)
  await writeFile(`${ipset}.log`, '')
  vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`)
})
afterEach(async () => {
  await writer?.close()
  vi.unstubAllEnvs()
})
const told = async (): Promise<string[]> =>
  (await readFile(`${ipset}.log`, 'utf8')).split('\n').filter((line) => line.startsWith('add'))

interface Kernel {
  readonly sent: Buffer[]
  /** Of each message; undefined: no answer at all. */
  answer: (sequence: number) => { sequence: number; error: number } | undefined
}

/** A kernel that acknowledges as it is told. */
function kernel(): Kernel & { readonly libc: Libc } {
  const state: Kernel = { sent: [], answer: (sequence) => ({ sequence, error: 0 }) }
  const libc: Partial<Libc> = {
    // One that can be closed.
    socket: () => openSync('/dev/null', 'r'),
    errno: () => 11,
    send: (_fd, message, bytes) => {
      state.sent.push(Buffer.from(message.subarray(0, bytes)))
      return bytes
    },
    recv: (_fd, memory) => {
      const answer = state.answer(state.sent.at(-1)?.readUInt32LE(8) ?? 0)
      if (!answer) return -1
      memory.writeUInt16LE(2, 4)
      memory.writeUInt32LE(answer.sequence, 8)
      memory.writeInt32LE(-answer.error, 16)
      return 36
    },
  }
  return Object.assign(state, { libc: libc as Libc })
}

test('the kernel is told itself where there is a way to it, and no process is started', async () => {
  const to = kernel()
  writer = new SetWriter(() => to.libc)
  await writer.write(ADDITIONS)
  expect(to.sent).toHaveLength(2)
  expect(await told()).toEqual([])
})

test.each([
  ['there is no way', undefined],
  ['it refuses', (sequence: number) => ({ sequence, error: 4352 })],
  ['it says nothing', () => undefined],
  ['it speaks of something else', (sequence: number) => ({ sequence: sequence + 1, error: 0 })],
])('`ipset` is told where %s', async (_, answer) => {
  const to = kernel()
  if (answer) to.answer = answer
  writer = new SetWriter(() => (answer ? to.libc : new Error('none')))
  await writer.write(ADDITIONS)
  expect(await told()).toEqual([
    'add one 192.0.2.1 timeout 60 comment "a.example"',
    'add two 192.0.2.2 timeout 60 comment "b.example"',
  ])
})
