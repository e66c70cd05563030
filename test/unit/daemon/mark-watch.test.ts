import { expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../src/config/marks.ts'
import { MarkWatch } from '../../../src/daemon/mark-watch.ts'

test('what others do to our marks is told until it is gone, and a tool that fails changes nothing', async () => {
  const told: (string | undefined)[] = []
  let ruleset: string | undefined = 'table inet vpn {\n\tchain pre {\n\t\tct mark set meta mark\n\t}\n}\n'
  const watch = new MarkWatch({
    run: async () => {
      if (ruleset === undefined) throw new Error('nft: killed')
      return { stdout: ruleset, stderr: '', exitCode: 0 }
    },
    marks: () => DEFAULT_MARKS,
    onState: (problem) => void told.push(problem),
  })
  await watch.look()
  ruleset = undefined
  await watch.look()
  ruleset = ''
  await watch.look()
  expect(told).toEqual([expect.stringContaining('nft inet vpn pre: ct mark set meta mark'), undefined])
})
