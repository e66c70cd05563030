import { describe, expect, test } from 'vitest'
import { familyOf, type Address, type Cidr } from '../../../src/net/types.ts'
import type { ProofPlace } from '../../../src/proof/model.ts'
import { choosePlaces, freeAddress, placesOf, placesUpTo, surveyPlaces } from '../../../src/proof/places.ts'

const address = (text: string) => text as Address
const cidr = (text: string) => text as Cidr

const guarded = (bridge: string, subnets: string[], internal = false) => ({
  bridge,
  networkName: `net-${bridge}`,
  networkId: bridge,
  subnets: subnets.map(cidr),
  internal,
})
const standing = (name: string, addresses: string[]) => ({
  name,
  kind: 'bridge',
  index: 3,
  isBridge: true,
  lower: undefined,
  ports: [],
  addresses: addresses.map(address),
})

describe('where a proof can be made', () => {
  test('on guarded networks that stand and lead out, with an address that nobody has', () => {
    const places = placesOf({
      guarded: [
        guarded('docker0', ['172.17.0.0/16', 'fd00::/64']),
        guarded('br-0123456789ab', ['172.18.0.0/16']),
        guarded('shop0', ['172.19.0.0/29']),
        guarded('inner', ['172.20.0.0/16'], true),
        guarded('gone', ['172.21.0.0/16']),
      ],
      interfaces: [
        standing('docker0', ['172.17.0.1', 'fd00::1']),
        standing('br-0123456789ab', ['172.18.0.1']),
        standing('shop0', ['172.19.0.6']),
        standing('inner', ['172.20.0.1']),
      ],
      containers: [],
    })
    expect(places.map(({ bridge, kind, sources }) => [bridge, kind, sources])).toEqual([
      ['docker0', 'default', ['172.17.255.254', 'fd00::ffff:ffff:ffff:fffe']],
      ['br-0123456789ab', 'generated', ['172.18.255.254']],
      ['shop0', 'named', ['172.19.0.5']],
    ])
  })

  test('not in a family in which the bridge has no address', () => {
    const input = { guarded: [guarded('docker0', ['172.17.0.0/16', 'fd00::/64'])], containers: [] }
    const [place] = placesOf({ ...input, interfaces: [standing('docker0', ['172.17.0.1'])] })
    expect(place?.sources).toEqual(['172.17.255.254'])
    expect(placesOf({ ...input, interfaces: [standing('docker0', [])] })).toEqual([])
  })

  test('and of each other network and family it is said why not', () => {
    const all = ['10.0.0.1', '10.0.0.2'].map(address)
    const { places, untried } = surveyPlaces({
      guarded: [
        guarded('docker0', ['172.17.0.0/16', 'fd00::/64']),
        guarded('full', ['10.0.0.0/30', 'fd01::/64']),
        guarded('inner', ['172.20.0.0/16'], true),
        guarded('gone', ['172.21.0.0/16']),
        { ...guarded('br-0123456789ab', []), networkName: undefined },
        { ...guarded('docker_gwbridge', []), networkName: undefined },
      ],
      interfaces: [
        standing('docker0', ['172.17.0.1']),
        standing('full', [...all, 'fd01::1']),
        standing('inner', ['172.20.0.1']),
        standing('br-0123456789ab', ['172.18.0.1']),
      ],
      containers: [],
    })
    const tried = places.flatMap(({ network, sources }) => sources.map((one) => [network, familyOf(one)]))
    expect(tried).toEqual([
      ['net-docker0', 4],
      ['net-full', 6],
    ])
    expect(untried.map(({ network, family, why }) => [network, family, why])).toEqual([
      ['net-docker0', 6, 'its bridge has no IPv6 address'],
      ['net-full', 4, 'no IPv4 address is free there to send from'],
      ['net-inner', undefined, expect.stringContaining('internal')],
      ['net-gone', undefined, expect.stringContaining('does not stand')],
      ['br-0123456789ab', undefined, expect.stringContaining('knows no network')],
    ])
  })

  test('a full subnet has no address to spare', () => {
    const all = ['10.0.0.1', '10.0.0.2'].map(address)
    expect(freeAddress(cidr('10.0.0.0/30'), new Set(all))).toBeUndefined()
    expect(freeAddress(cidr('10.0.0.0/30'), new Set(all.slice(0, 1)))).toBe('10.0.0.2')
    expect(freeAddress(cidr('10.0.0.0/31'), new Set())).toBeUndefined()
  })
})

describe('which networks have their turn', () => {
  const place = (network: string, kind: ProofPlace['kind']): ProofPlace => ({
    network,
    kind,
    bridge: network,
    sources: [address('172.18.0.254')],
    gateways: [],
  })
  const places = [place('bridge', 'default'), place('a', 'generated'), place('b', 'generated')]
  const chosen = (last: [string, number, boolean][]): string[] =>
    choosePlaces(places, new Map(last.map(([name, atMs, passed]) => [name, { atMs, passed }])))
      .map(({ network }) => network)
      .toSorted()

  test('one of each kind, the one that waited longest', () => {
    expect(chosen([])).toEqual(['a', 'bridge'])
    expect(chosen([['a', 5, true]])).toEqual(['b', 'bridge'])
    expect(
      chosen([
        ['a', 5, true],
        ['b', 6, true],
      ]),
    ).toEqual(['a', 'bridge'])
  })

  test('up to a number: of each kind and family one before the rest', () => {
    const six = { ...place('six', 'generated'), sources: [address('fd00::2')] }
    const up = (most: number) => placesUpTo([...places, six], most).map(({ network }) => network)
    expect(up(9)).toEqual(['bridge', 'a', 'six', 'b'])
    expect(up(3)).toEqual(['bridge', 'a', 'six'])
  })

  test('and those that failed, every time', () => {
    expect(
      chosen([
        ['a', 5, true],
        ['b', 6, false],
      ]),
    ).toEqual(['a', 'b', 'bridge'])
  })
})
