import { expect, test } from 'vitest'
import { parseEngine, usesIptables } from '../../../src/workloads/engine.ts'
import {
  ENGINE_20,
  ENGINE_26,
  ENGINE_28,
  ENGINE_28_FIREWALLD,
  ENGINE_29_NFTABLES,
  ENGINE_ROOTLESS,
} from '../../support/docker-json.ts'

test.each([
  [
    '20.10',
    ENGINE_20,
    { version: '20.10.24+dfsg1', apiVersion: '1.41', firewallBackend: undefined, rootless: false },
    true,
  ],
  ['26.1', ENGINE_26, { version: '26.1.5+dfsg1', firewallBackend: undefined, rootless: false }, true],
  ['28.5', ENGINE_28, { version: '28.5.2', firewallBackend: 'iptables', rootless: false }, true],
  ['28.5 with firewalld', ENGINE_28_FIREWALLD, { firewallBackend: 'iptables+firewalld' }, true],
  ['29 with nftables', ENGINE_29_NFTABLES, { firewallBackend: 'nftables' }, false],
  ['rootless', ENGINE_ROOTLESS, { rootless: true }, true],
])('engine %s', (_title, json, facts, iptables) => {
  const engine = parseEngine(json)
  expect(engine).toMatchObject(facts)
  expect(usesIptables(engine)).toBe(iptables)
})

test('a node of a swarm', () => {
  const parsed = parseEngine({
    info: { ...ENGINE_28.info, Swarm: { LocalNodeState: 'active' } },
    version: ENGINE_28.version,
  })
  expect(parsed.swarm).toBe(true)
  expect(parseEngine(ENGINE_28).swarm).toBe(false)
})

test('an answer of another shape gives unknowns', () => {
  expect(parseEngine({ info: 'x', version: null })).toEqual({
    version: 'unknown',
    apiVersion: 'unknown',
    firewallBackend: undefined,
    rootless: false,
    swarm: false,
  })
})
