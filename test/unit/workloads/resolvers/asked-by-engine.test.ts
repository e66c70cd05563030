import { describe, expect, test } from 'vitest'
import {
  networksAskedByEngine,
  type AskerFacts,
} from '../../../../src/workloads/resolvers/asked-by-engine.ts'
import { parseInventory } from '../../../../src/workloads/inventory.ts'
import { BRIDGE_ID, containerJson, defaultBridgeJson, networkJson } from '../../../support/docker-json.ts'

const VAULT_ID = 'f'.repeat(64)
const on = (networks: Record<string, string>, host: Record<string, unknown> = {}) =>
  containerJson({
    host,
    network: {
      Networks: Object.fromEntries(
        Object.entries(networks).map(([name, NetworkID]) => [name, { NetworkID }]),
      ),
    },
  })

const asked = (container: unknown, facts: Partial<AskerFacts> = {}): string[] =>
  networksAskedByEngine(
    parseInventory({
      networks: [
        defaultBridgeJson(),
        networkJson({ Name: 'shop', Id: 'a'.repeat(64) }),
        networkJson({ Name: 'vault', Id: VAULT_ID, Internal: true }),
      ],
      containers: [container],
    }).value,
    {
      engineVersion: '28.5.2+dfsg4',
      isTold: false,
      hostServers: ['198.51.100.1'],
      written: () => undefined,
      ...facts,
    },
  )

const SHOP = { shop: 'a'.repeat(64) }
const LOOPBACK = ['127.0.0.53', '198.51.100.1']

describe('the engine asks', () => {
  test.each<[string, Partial<AskerFacts>, boolean]>([
    ['28', {}, true],
    ['28, told whom to ask', { isTold: true }, false],
    ['26', { engineVersion: '26.1.5+dfsg1' }, false],
    ['26 on a host with a server of its own', { engineVersion: '26.1.5', hostServers: LOOPBACK }, true],
    ['20.10', { engineVersion: '20.10.24' }, false],
    ['20.10 on a host with a server of its own', { engineVersion: '20.10.24', hostServers: ['::1'] }, true],
    [
      '20.10 there, told whom to ask',
      { engineVersion: '20.10.24', hostServers: LOOPBACK, isTold: true },
      false,
    ],
    ['an engine that does not tell its version', { engineVersion: 'unknown' }, true],
    // Its line in daemon.json is newer than the engine, or this container.
    [
      '28, told, with a container that it was not yet told for',
      { isTold: true, written: () => 'host' },
      true,
    ],
    // A container can write this.
    ['28, with a container that denies it', { written: () => 'container' }, true],
  ])('%s', (_title, facts, expected) => {
    expect(asked(on(SHOP), facts)).toEqual(expected ? ['shop'] : [])
  })
})

describe('the engine does not ask for', () => {
  test.each([
    ['a container of the default bridge', on({ bridge: BRIDGE_ID })],
    ["one on the host's network", on({ host: 'e'.repeat(64) })],
    ['one with servers of its own', on(SHOP, { Dns: ['203.0.113.53'] })],
    ['one that does not run', { ...on(SHOP), State: { Running: false } }],
  ])('%s', (_title, container) => {
    expect(asked(container, { written: () => 'host' })).toEqual([])
  })

  test('one with no way out, since 26', () => {
    const vault = on({ vault: VAULT_ID })
    expect(asked(vault)).toEqual([])
    expect(asked(vault, { engineVersion: '20.10.24', hostServers: LOOPBACK })).toEqual(['vault'])
    expect(asked(on({ vault: VAULT_ID, ...SHOP }))).toEqual(['shop', 'vault'])
  })
})
