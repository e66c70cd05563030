import { expect, test } from 'vitest'
import { Proofs } from '../../../src/daemon/proofs.ts'

const passed = (network: string) => ({ network })
const failed = (network: string) => ({ network, problem: 'the backstop is missing' })

test('the guards hold once a proof has passed, as long as nothing is wrong', () => {
  const proofs = new Proofs()
  expect(proofs.hold, 'before any proof').toBe(false)
  proofs.record([failed('shop'), failed('lan')], 1)
  expect(proofs.hold, 'nothing passed').toBe(false)
  proofs.record([passed('shop')], 2)
  expect(proofs.hold, 'one passed and one did not').toBe(false)
  proofs.record([passed('lan')], 3)
  expect(proofs.hold).toBe(true)
  // The networks on which it passed are gone.
  proofs.retain(new Set())
  expect(proofs.hold).toBe(true)
  proofs.record([failed('new')], 4)
  expect(proofs.hold).toBe(false)
})
