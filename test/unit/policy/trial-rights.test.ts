import { expect, test } from 'vitest'
import type { Assignment, ClassMember } from '../../../src/policy/classes.ts'
import { rightsOf } from '../../../src/policy/rights.ts'
import { rightsBefore } from '../../../src/policy/trial-rights.ts'

const member = (name: string, id: number): ClassMember => ({
  container: { id: name, name, pid: 1 },
  networkId: 'net',
  network: 'net',
  segments: ['net'],
  mac: undefined,
  addresses: [],
  matched: [],
  class: id,
})
const rights = (policies: readonly string[], metadata = false) =>
  rightsOf({ policies, metadata, smtp: undefined, denyWith: 'drop' })

const assignment = (
  classes: Readonly<Record<number, ReturnType<typeof rights>>>,
  members: readonly ClassMember[],
): Assignment => ({
  unknown: 'deny',
  classes: Object.entries(classes).map(([id, one]) => ({ ...one, id: Number(id) })),
  members,
  ignoredLabels: 0,
})

const BEFORE = assignment({ 1: rights(['common']), 2: rights(['common', 'pay'], true) }, [
  member('web', 1),
  member('cron', 1),
  member('till', 2),
])
const COMMON_BEFORE = rights(['common'])

test.each([
  [
    'what its members had is what it has',
    { 7: rights(['pay']) },
    [member('till', 7)],
    [[7, ['common', 'pay'], true]],
  ],
  [
    'under another number, what is new to all of them is not theirs',
    { 1: rights(['common', 'pay'], true) },
    [member('web', 1), member('cron', 1)],
    [[1, COMMON_BEFORE.policies, false]],
  ],
  [
    'whose members had different rights, it is nobody known',
    { 2: rights(['common', 'pay'], true) },
    [member('web', 2), member('till', 2)],
    [],
  ],
  [
    'with a member that was not there before, it is nobody known',
    { 1: rights(['common']) },
    [member('new', 1)],
    [],
  ],
] as const)('of a class %s', (_, classes, members, expected) => {
  const result = rightsBefore(assignment(classes, members), BEFORE)
  expect(result?.unknown).toBe('deny')
  expect(result?.classes.map(({ id, policies, metadata }) => [id, policies, metadata])).toEqual(expected)
})

test('without policies before, all were alike', () => {
  expect(rightsBefore(BEFORE, undefined)).toBeUndefined()
  expect(rightsBefore(undefined, BEFORE)).toEqual({ unknown: 'deny', classes: [] })
})
