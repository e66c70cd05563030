import { expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../src/config/marks.ts'
import { bearingsOf, believable, nextGeneration } from '../../../src/reconcile/generation.ts'

/** Connections bear a generation; one that they bear already must not be given to other rights. */
test.each([
  [
    'the same on the disk and in the kernel',
    { generation: 7, digest: 'a' },
    [7],
    { generation: 7, digest: 'a' },
  ],
  ['nothing in the kernel', { generation: 7, digest: 'a' }, [], { generation: 7, digest: 'a' }],
  ['an older one on the disk', { generation: 6, digest: 'a' }, [7], { generation: 7, digest: '' }],
  ['none on the disk', { generation: 1, digest: '' }, [2], { generation: 2, digest: '' }],
  ['one that was about to begin', { generation: 7, digest: '' }, [6], { generation: 7, digest: '' }],
  ['two in the kernel', { generation: 3, digest: 'a' }, [6, 7], { generation: 7, digest: '' }],
  ['the last number', { generation: 1, digest: '' }, [254], { generation: 1, digest: '' }],
])('%s', (_, saved, standing, expected) => {
  const found = believable(saved, standing, DEFAULT_MARKS)
  expect(found).toMatchObject(expected)
  // What the kernel lets pass is let pass until the next rules stand.
  const borne = bearingsOf(found, DEFAULT_MARKS).map(({ generation }) => generation)
  expect(borne).toEqual(expect.arrayContaining(standing.slice(-1)))
  if (found.digest === '')
    expect(standing).not.toContain(nextGeneration(found, 'b', DEFAULT_MARKS).generation)
})
