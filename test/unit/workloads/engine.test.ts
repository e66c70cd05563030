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
  ['20.10', ENGINE_20, { version: '20.10.24+dfsg1', firewallBackend: undefined, rootless: false }, true],
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

test('an answer of another shape gives unknowns', () => {
  expect(parseEngine({ info: 'x', version: null })).toEqual({
    version: 'unknown',
    firewallBackend: undefined,
    rootless: false,
  })
})
