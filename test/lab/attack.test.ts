import { describe, expect, test } from 'vitest'
import { ATTACKS } from './attack/all.ts'
import { PlainHost } from './attack/host.ts'
import { GUARDS, OneGuardHost } from './attack/one-guard.ts'
import { playableOn, playBoth } from './attack/run.ts'
import { chosenEngine } from './engines.ts'
import { useLab } from './shared-lab.ts'

/** The short battery of `npm run attack`: each attack works on a host without the guard, and nothing of it arrives under it. */
const lab = useLab({ name: 'attack' })

const engine = chosenEngine()
const SEED = 1

const battery = playableOn(engine, ATTACKS).filter(({ quick }) => quick === true)

test.each(battery.map((attack) => [attack.name, attack] as const))('%s', async (_, attack) => {
  const { control, guarded, impossible, faults } = await playBoth(new PlainHost(lab()), attack, {
    engine,
    seed: SEED,
    quick: true,
  })
  if (impossible) return
  expect(faults).toEqual([])
  expect(control?.arrived, 'without the guard').toBeGreaterThan(0)
  expect(guarded?.arrived).toBe(0)
})

/** What is closed in the rules and in the backstop, by each of them alone. Services of the host have one guard. */
const CLOSED_TWICE = ['reserved-echo6', 'bridged-opener', 'bridged-opener6-routed', 'related-metadata']

describe.each(GUARDS)('with the %s alone', (standing) => {
  const attacks = playableOn(engine, ATTACKS).filter(({ name }) => CLOSED_TWICE.includes(name))

  test.each(attacks.map((attack) => [attack.name, attack] as const))('%s', async (_, attack) => {
    const { faults, guarded } = await playBoth(new OneGuardHost(lab(), standing), attack, {
      engine,
      seed: SEED,
      quick: true,
    })
    expect(faults).toEqual([])
    expect(guarded?.arrived).toBe(0)
  })
})
