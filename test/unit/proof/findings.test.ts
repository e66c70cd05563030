import { describe, expect, test } from 'vitest'
import type { Address } from '../../../src/net/types.ts'
import { judgeTrial } from '../../../src/proof/findings.ts'
import type { ProbeTarget, ProofTrial } from '../../../src/proof/model.ts'
import type { Sighting } from '../../../src/proof/table.ts'
import type { Role } from '../../../src/proof/ways.ts'

const target: ProbeTarget = { destination: '2001:db8::1' as Address, protocol: 'tcp', port: 443 }
const source = 'fd00::fffe' as Address
const trial: ProofTrial = {
  place: { network: 'shop', bridge: 'br-shop', kind: 'named', sources: [source], gateways: [] },
  family: 6,
  source,
  forbidden: target,
  allowed: undefined,
}

/** How far a packet came. */
const FAR = {
  unsent: { sent: 0, behindRules: 0, approved: 0, admitted: 0, atUplink: 0 },
  rules: { sent: 1, behindRules: 0, approved: 0, admitted: 0, atUplink: 0 },
  backstop: { sent: 1, behindRules: 1, approved: 1, admitted: 0, atUplink: 0 },
  uplink: { sent: 1, behindRules: 1, approved: 1, admitted: 0, atUplink: 1 },
} satisfies Record<string, Sighting>

async function judged(
  seen: Partial<Record<Role, keyof typeof FAR>>,
  options: { readonly allowed?: ProbeTarget; readonly hasRoute?: boolean } = {},
): Promise<string[]> {
  const roles = Object.keys(seen) as Role[]
  const findings = await judgeTrial(
    async () => ({ stdout: '', stderr: '', exitCode: options.hasRoute === false ? 2 : 0 }),
    { ...trial, allowed: options.allowed },
    roles.map((role) => ({ role, probe: { id: role } })),
    new Map(roles.map((role) => [role, FAR[seen[role] ?? 'unsent']])),
  )
  return findings.map(({ what, skipped, problem }) => {
    const short = what.replace('IPv6, network shop: ', '').replace(/2001:\S+ port \S+/, 'X')
    return `${skipped ? 'skip' : problem === undefined ? 'ok' : 'FAIL'} ${short}`
  })
}

describe('where nothing is allowed', () => {
  test('the backstop is tried by a reply', async () => {
    expect(await judged({ forbidden: 'rules', reply: 'backstop' })).toEqual([
      'ok forbidden X is stopped by the rules',
      'skip allowed traffic',
      'ok a reply without approval is stopped by the backstop',
    ])
    expect(await judged({ forbidden: 'rules', reply: 'uplink' })).toContain(
      'FAIL a reply without approval is stopped by the backstop',
    )
    expect(await judged({ forbidden: 'rules', reply: 'unsent' })).toContain(
      'FAIL a reply without approval is stopped by the backstop',
    )
  })

  test('and is skipped, not proven, where nothing gets as far', async () => {
    expect(await judged({ forbidden: 'rules', reply: 'rules' })).toContain('skip the backstop')
  })
})

describe('where something is allowed', () => {
  test('both guards are tried', async () => {
    expect(
      await judged({ forbidden: 'rules', allowed: 'uplink', disapproved: 'backstop' }, { allowed: target }),
    ).toEqual([
      'ok forbidden X is stopped by the rules',
      'ok allowed X passes',
      'ok X without approval is stopped by the backstop',
    ])
  })

  test('without a route there what is allowed and the backstop are skipped', async () => {
    expect(
      await judged(
        { forbidden: 'rules', allowed: 'rules', disapproved: 'rules' },
        { allowed: target, hasRoute: false },
      ),
    ).toEqual(['ok forbidden X is stopped by the rules', 'skip allowed traffic', 'skip the backstop'])
  })
})
