import { expect, test } from 'vitest'
import { Proofs } from '../../../src/daemon/proofs.ts'
import type { ProofFinding } from '../../../src/proof/model.ts'
import { lastingResults, outcomeOf, resultsOf } from '../../../src/proof/results.ts'

const finding = (network: string, problem?: string): ProofFinding => ({
  network,
  what: 'it holds',
  passed: problem === undefined,
  detail: '',
  problem,
})

test('what is wrong with the host is wrong on each network', () => {
  expect(resultsOf([finding('', 'no backstop'), finding('a'), finding('b', 'open'), finding('b')])).toEqual([
    { network: 'a', problem: 'no backstop' },
    { network: 'b', problem: 'open' },
  ])
  expect(resultsOf([finding(''), finding('a')])).toEqual([{ network: 'a', problem: undefined }])
})

test('where all was skipped nothing is proven', () => {
  const skipped = (network: string): ProofFinding => ({ ...finding(network), skipped: true })
  expect(resultsOf([skipped('inner'), skipped('a'), finding('a'), finding('', 'no backstop')])).toEqual([
    { network: 'a', problem: 'no backstop' },
  ])
})

test('what is wrong with the host stands by itself where no network was tried', () => {
  expect(resultsOf([finding('', 'could not be made'), { ...finding('inner'), skipped: true }])).toEqual([
    { network: '', problem: 'could not be made' },
  ])
  expect(resultsOf([finding(''), { ...finding('inner'), skipped: true }])).toEqual([])
})

test.each([
  ['nothing at all', [], 'skipped'],
  [
    'guards in their places and nothing tried',
    [finding(''), { ...finding('a'), skipped: true as const }],
    'skipped',
  ],
  ['a network that was tried', [finding(''), finding('a')], 'proven'],
  [
    'one that was tried beside one that was not',
    [{ ...finding('a'), skipped: true as const }, finding('b')],
    'proven',
  ],
  ['a guard that is missing, and nothing tried', [finding('', 'no backstop')], 'failed'],
  ['a network that is open', [finding('a', 'open'), finding('b')], 'failed'],
] as const)('the outcome of %s', (_what, findings, outcome) => expect(outcomeOf(findings)).toBe(outcome))

test('the sentence is the same as long as the same is wrong, in whatever order it is found', () => {
  const [one, other] = [new Proofs(), new Proofs()]
  one.record([{ network: 'a', problem: 'open' }, { network: 'b', problem: 'open' }, { network: 'c' }], 1)
  other.record([{ network: 'b', problem: 'open' }], 1)
  other.record([{ network: 'a', problem: 'open' }], 2)
  expect(one.problem).toMatch(/^not proven: open on a, b: `embargod verify` shows/)
  expect(other.problem).toBe(one.problem)
})

test('a network that passes or is gone is not complained of', () => {
  const proofs = new Proofs()
  proofs.record(
    [
      { network: 'a', problem: 'open' },
      { network: 'b', problem: 'open' },
    ],
    1,
  )
  proofs.record([{ network: 'a' }], 2)
  expect(proofs.problem).toContain('not proven: open on b:')
  proofs.retain(new Set(['a']))
  expect(proofs.problem).toBeUndefined()
  expect(proofs.rows).toEqual([{ network: 'a', passed: true }])
})

test('what is wrong with the whole host keeps its series until a proof says otherwise', () => {
  const proofs = new Proofs()
  proofs.record([{ network: '', problem: 'could not be made' }], 1)
  proofs.retain(new Set())
  expect(proofs.rows).toEqual([{ network: '', passed: false }])
  expect(proofs.problem).toContain('could not be made on this host')
  proofs.record([], 2)
  expect(proofs.rows).toHaveLength(1)
  proofs.record([{ network: 'a' }], 3)
  expect(proofs.rows).toEqual([{ network: 'a', passed: true }])
})

test('names of networks are hostile text, and not all are named', () => {
  const proofs = new Proofs()
  const names = ['a', 'b', 'c', 'd', '\u001B[2Je']
  proofs.record(
    names.map((network) => ({ network, problem: 'open' })),
    1,
  )
  expect(proofs.problem).toMatch(/and 2 more:/)
  expect(proofs.problem).not.toContain('\u001B')
})

test('of several proofs what failed counts where it failed in each', () => {
  const bad = (network: string) => ({ network, problem: 'open' })
  const good = (network: string) => ({ network, problem: undefined })
  expect(lastingResults([])).toEqual([])
  expect(lastingResults([[bad('a')]])).toEqual([bad('a')])
  expect(
    lastingResults([
      [bad('a'), bad('b')],
      [bad('a'), good('b'), bad('new')],
    ]),
  ).toEqual([bad('a'), good('b')])
  expect(lastingResults([[good('a')], [bad('a')]])).toEqual([])
})
