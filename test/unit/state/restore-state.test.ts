import { describe, expect, test } from 'vitest'
import type { Address, Hostname } from '../../../src/net/types.ts'
import { restoreState } from '../../../src/state/restore-state.ts'
import type { ReadState, StateFormat } from '../../../src/state/state-store.ts'
import { TemporaryAllows } from '../../../src/state/temporary.ts'
import { configOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const HOUR = 3_600_000
const SHOP = 'shop.example' as Hostname
const BANK = 'bank.example' as Hostname
const HOST = '203.0.113.1' as Address
const OTHER = '203.0.113.2' as Address

/** What was seen a minute ago. */
const heldBy = (name: Hostname, held: readonly Address[]) => ({
  name,
  lastSuccessMs: NOW_MS - 60_000,
  held,
  seen: held.map(() => NOW_MS - 60_000),
  expires: held.map(() => NOW_MS + HOUR),
  past: [],
})

/** A state directory with these files. */
async function restored(files: Readonly<Record<string, unknown>>, yaml = `allow: [${SHOP}]\n`) {
  const read: ReadState = <T>(name: string, format: StateFormat<T>) =>
    Promise.resolve(files[name] === undefined ? undefined : format.schema.parse(files[name]))
  const temporary = new TemporaryAllows({ epochMs: () => NOW_MS, monotonicMs: () => 5_000 })
  const state = await restoreState({
    config: await configOf(yaml),
    read,
    nowMs: NOW_MS,
    isHostAddress: (address) => address === HOST,
    temporary,
  })
  const addresses = (name: Hostname) => state.addressStore.liveAddresses(name).map(({ address }) => address)
  return { ...state, addresses }
}

describe('restoreState', () => {
  test('begins with generation 1 and no address in an empty directory', async () => {
    const { addresses, generation, counters, temporary, leftOut } = await restored({})
    expect(addresses(SHOP)).toEqual([])
    expect({ generation, counters, entries: temporary.list(), leftOut }).toEqual({
      generation: { generation: 1, digest: '' },
      counters: undefined,
      entries: [],
      leftOut: [],
    })
  })

  test('a name that is only allowed for a while gets its saved addresses, but none that the host has now', async () => {
    const { addresses, policies, temporary } = await restored({
      temporary: [{ entry: BANK, untilMs: NOW_MS + HOUR }],
      addresses: { version: 1, names: [heldBy(SHOP, [OTHER]), heldBy(BANK, [HOST, OTHER])] },
    })
    expect(temporary.list()).toEqual([{ entry: BANK, untilMs: NOW_MS + HOUR }])
    expect([...policies.names.keys()].toSorted()).toEqual([BANK, SHOP])
    expect(policies.nextEndMs).toBe(NOW_MS + HOUR)
    expect(addresses(SHOP)).toEqual([OTHER])
    expect(addresses(BANK)).toEqual([OTHER])
  })

  test('an entry that has ended is not restored', async () => {
    const { policies, temporary, leftOut } = await restored({
      temporary: [{ entry: BANK, untilMs: NOW_MS }],
    })
    expect(temporary.list()).toEqual([])
    expect([...policies.names.keys()]).toEqual([SHOP])
    expect(leftOut).toEqual([])
  })

  test('what cannot be used is left out and named, and the rest is restored', async () => {
    const { addresses, temporary, leftOut } = await restored({
      temporary: [
        { entry: 'not a name', untilMs: NOW_MS + HOUR },
        { entry: BANK, untilMs: NOW_MS + HOUR },
      ],
      addresses: { version: 99, names: [] },
    })
    expect(temporary.list().map(({ entry }) => entry)).toEqual([BANK])
    expect(addresses(SHOP)).toEqual([])
    expect(leftOut).toMatchObject([{ kind: 'temporary', entry: 'not a name' }, { kind: 'addresses' }])
  })

  test('without the numbers of the classes every connection is judged again', async () => {
    const policed = `policies: { web: { match: { network: x }, allow: [${SHOP}] } }\n`
    const saved = { generation: 7, digest: 'of the rules before' }
    expect((await restored({ generation: saved }, policed)).generation).toEqual({ generation: 7, digest: '' })
    const classes = { last: 0, classes: [] }
    expect((await restored({ generation: saved, classes }, policed)).generation).toEqual(saved)
  })
})
