import { expect, test } from 'vitest'
import type { Changes, Keepers, TargetName } from '../../../src/reconcile/keepers.ts'
import { driftOf, Reconciler, summaryOf } from '../../../src/reconcile/reconciler.ts'
import {
  PARTS,
  type DesiredState,
  type DriftKind,
  type Keeper,
  type Phase,
  type TargetChange,
} from '../../../src/targets/keeper.ts'

const TARGETS: readonly TargetName[] = ['sets', 'rules', 'backstop', 'bindings', 'hostNetwork', 'bridges']
const SCOPE = { parts: new Set(PARTS), headers: true, read: [], everything: false }
const DESIRED = {} as DesiredState

/** Keepers that write down what is asked of them. Those named have something to write. */
function recorded(busy: readonly TargetName[], failsAt?: string) {
  const calls: string[] = []
  const keeperOf = (target: TargetName): Keeper => ({
    look: async () => {
      await Promise.resolve()
      calls.push(`look ${target}`)
    },
    plan: () => {
      calls.push(`plan ${target}`)
      return busy.includes(target) ? { summary: [`change ${target}`], drift: ['set'] } : undefined
    },
    apply: async (_, phases: readonly Phase[]) => {
      const call = `${target} ${phases.join(' and ')}`
      calls.push(call)
      if (call === failsAt) throw new Error(`refused: ${call}`)
    },
    forget: () => void calls.push(`forget ${target}`),
  })
  const keepers = Object.fromEntries(TARGETS.map((target) => [target, keeperOf(target)]))
  return { calls, reconciler: new Reconciler(keepers as unknown as Keepers) }
}

async function written(busy: readonly TargetName[], failsAt?: string): Promise<string[]> {
  const { calls, reconciler } = recorded(busy, failsAt)
  const { changes } = await reconciler.plan(DESIRED, SCOPE, 0)
  calls.length = 0
  await reconciler.apply(changes).catch(() => undefined)
  return calls
}

test('every keeper looks before the first one plans, so all plan for the same moment', async () => {
  const { calls, reconciler } = recorded(['rules', 'sets'])
  const { changes } = await reconciler.plan(DESIRED, SCOPE, 0)
  expect(calls.map((call) => call.split(' ')[0])).toEqual([
    ...TARGETS.map(() => 'look'),
    ...TARGETS.map(() => 'plan'),
  ])
  expect(summaryOf(changes)).toEqual(['change sets', 'change rules'])
  expect(driftOf(changes)).toEqual(['set'])
})

test('a look that fails ends the pass only when all others have ended', async () => {
  const ended: string[] = []
  let endSlow = (): void => undefined
  const slow = new Promise<void>((resolve) => (endSlow = resolve))
  const keeper = (look: () => Promise<void>) => ({
    look,
    plan: () => undefined,
    apply: async () => undefined,
  })
  const reconciler = new Reconciler({
    rules: keeper(() => Promise.reject(new Error('cut off'))),
    sets: keeper(() => slow.then(() => void ended.push('sets'))),
  } as unknown as Keepers)
  const failure = reconciler.plan(DESIRED, SCOPE, 0).catch((error: unknown) => {
    ended.push('pass')
    return error
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(ended).toEqual([])
  endSlow()
  expect(await failure).toMatchObject({ message: 'cut off' })
  expect(ended).toEqual(['sets', 'pass'])
})

test('sets come before the rules that name them, deletions after, and the backstop closes first and opens last', async () => {
  expect(await written(TARGETS)).toEqual([
    'backstop before rules',
    'bindings before rules',
    'hostNetwork before rules',
    'sets before rules',
    'rules rules',
    'sets after rules',
    'bindings after rules',
    'hostNetwork after rules',
    'bridges after rules',
    'backstop after rules',
  ])
})

test('where no rules are written between them, additions and deletions are one write', async () => {
  expect(await written(['sets', 'bindings'])).toEqual([
    'bindings before rules',
    'sets before rules and after rules',
    'bindings after rules',
  ])
})

test('a write that fails ends the pass there, and every keeper forgets what it knew', async () => {
  expect(await written(TARGETS, 'rules rules')).toEqual([
    'backstop before rules',
    'bindings before rules',
    'hostNetwork before rules',
    'sets before rules',
    'rules rules',
    ...TARGETS.map((target) => `forget ${target}`),
  ])
})

test('what was drift of several targets is named once a kind', () => {
  const change = (...drift: DriftKind[]): TargetChange => ({ summary: [], drift })
  const changes = { sets: change('set'), rules: change('jump', 'rules', 'jump'), bridges: undefined }
  expect(driftOf(changes as unknown as Changes)).toEqual(['set', 'jump', 'rules'])
})
