import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseContainer, parseInventory, parseNetwork } from '../../../src/workloads/inventory.ts'
import {
  BRIDGE_ID,
  containerJson,
  defaultBridgeJson,
  networkJson,
  SHOP_ID,
} from '../../support/docker-json.ts'

describe('the bridge of a network', () => {
  const named = (name: string) => ({ 'com.docker.network.bridge.name': name })
  test.each([
    ['the default network', defaultBridgeJson(), 'docker0'],
    [
      'the default network on a bridge of the operator',
      defaultBridgeJson({ Options: named('mybr') }),
      'mybr',
    ],
    ['the default network without options', defaultBridgeJson({ Options: null }), 'docker0'],
    ['the gateway bridge of swarm', networkJson({ Name: 'docker_gwbridge', Options: {} }), 'docker_gwbridge'],
    ['a user network', networkJson(), 'br-b0c1d2e3f4a5'],
    ['a user network, options null', networkJson({ Options: null, Labels: null }), 'br-b0c1d2e3f4a5'],
    ['a user network with its own name', networkJson({ Options: named('br_shop.1') }), 'br_shop.1'],
    ['a wildcard', networkJson({ Options: named('br+') }), undefined],
    ['16 characters', networkJson({ Options: named('a234567890123456') }), undefined],
    ['text for a rule', networkJson({ Options: named('x -j ACCEPT') }), undefined],
    ['an overlay', networkJson({ Driver: 'overlay' }), undefined],
    ['macvlan', networkJson({ Driver: 'macvlan', Options: { parent: 'eth0' } }), undefined],
  ])('%s', (_title, json, bridge) => {
    expect(parseNetwork(json).value?.bridge).toBe(bridge)
  })

  test('an unusable name is a problem that says so, with no control character in it', () => {
    const { problems } = parseNetwork(networkJson({ Name: 'evil\u001b[2J', Options: named('br\n+') }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^network "evil\\u001b\[2J".*"br\\n\+"/)
  })
})

test('a network with two families, a typed host part and a gateway with prefix length', () => {
  const { value, problems } = parseNetwork(
    networkJson({
      EnableIPv6: true,
      Internal: true,
      IPAM: {
        Config: [
          { Subnet: '10.7.0.9/24', Gateway: '10.7.0.1/24' },
          { Subnet: '2001:db8:7:0::/64', Gateway: '2001:db8:7::1' },
        ],
      },
    }),
  )
  expect(problems).toEqual([])
  expect(value).toEqual({
    id: SHOP_ID,
    name: 'shop_default',
    driver: 'bridge',
    bridge: 'br-b0c1d2e3f4a5',
    subnets: ['10.7.0.0/24', '2001:db8:7::/64'],
    gateways: ['10.7.0.1', '2001:db8:7::1'],
    internal: true,
    ipv6: true,
  })
})

test('host and null networks have no pools', () => {
  const { value } = parseNetwork(
    networkJson({ Name: 'host', Driver: 'host', IPAM: { Config: null }, Options: null }),
  )
  expect(value).toMatchObject({ subnets: [], gateways: [], bridge: undefined })
})

test('a container with everything that a firewall asks about', () => {
  const { value, problems } = parseContainer(
    containerJson({
      host: {
        NetworkMode: 'default',
        Privileged: true,
        CapAdd: ['net_admin', 'CAP_SYS_TIME'],
        Dns: ['198.51.100.53'],
      },
      Mounts: [{ Type: 'bind', Source: '/var/run/docker.sock', Destination: '/sock', RW: false }],
      network: {
        Ports: {
          '80/tcp': [
            { HostIp: '0.0.0.0', HostPort: '8080' },
            { HostIp: '::', HostPort: '8080' },
          ],
          '53/udp': [{ HostIp: '127.0.0.1', HostPort: '5353' }],
          '9000/tcp': null,
        },
        Networks: {
          bridge: {
            NetworkID: BRIDGE_ID,
            IPAddress: '172.17.0.2',
            GlobalIPv6Address: '2001:db8::2',
            Gateway: '172.17.0.1',
            IPv6Gateway: '',
            MacAddress: '02:42:AC:11:00:02',
          },
        },
      },
    }),
  )
  expect(problems).toEqual([])
  expect(value).toMatchObject({
    name: 'shop-web-1',
    running: true,
    networkMode: 'bridge',
    privileged: true,
    capAdd: ['NET_ADMIN', 'SYS_TIME'],
    capDrop: [],
    pidMode: '',
    cgroupnsMode: '',
    securityOpt: [],
    dns: ['198.51.100.53'],
    mounts: [{ source: '/var/run/docker.sock', readOnly: true }],
    publishedPorts: [
      { hostIp: '0.0.0.0', hostPort: 8080, protocol: 'tcp' },
      { hostIp: '::', hostPort: 8080, protocol: 'tcp' },
      { hostIp: '127.0.0.1', hostPort: 5353, protocol: 'udp' },
    ],
    labels: { 'com.docker.compose.project': 'shop' },
    endpoints: [
      {
        networkId: BRIDGE_ID,
        networkName: 'bridge',
        addresses: ['172.17.0.2', '2001:db8::2'],
        mac: '02:42:ac:11:00:02',
        gateways: ['172.17.0.1'],
      },
    ],
  })
})

test('a container between two lives of its restart policy does not run, whatever the engine says', () => {
  const json = containerJson({ State: { Running: true, Restarting: true, Pid: 0 } })
  expect(parseContainer(json).value).toMatchObject({ running: false, pid: undefined })
})

test('a container that was created but never started has no addresses and no resolv.conf', () => {
  const { value } = parseContainer(
    containerJson({
      running: false,
      ResolvConfPath: '',
      Config: { Labels: null },
      network: { Ports: null, Networks: { shop_default: { NetworkID: '', IPAddress: '', MacAddress: '' } } },
    }),
  )
  expect(value).toMatchObject({ running: false, resolvConfPath: undefined, labels: {}, publishedPorts: [] })
  expect(value?.endpoints[0]).toMatchObject({ addresses: [], mac: undefined })
})

test('equal facts in another order give an equal inventory', () => {
  const one = { networks: [defaultBridgeJson(), networkJson()], containers: [] }
  const other = { networks: one.networks.toReversed(), containers: [] }
  expect(parseInventory(one)).toEqual(parseInventory(other))
})

test('what has no identity is left out and told', () => {
  const { value, problems } = parseInventory({
    networks: [null, { Name: 'x' }, networkJson()],
    containers: 'none',
  })
  expect(value.networks.map((network) => network.name)).toEqual(['shop_default'])
  expect(problems).toHaveLength(3)
})

test('no JSON makes it throw, and no bridge gets through that could not stand in a rule', () => {
  const keys = fc.constantFrom(
    'Id',
    'Name',
    'Driver',
    'Options',
    'IPAM',
    'Config',
    'Subnet',
    'HostConfig',
    'Ports',
    'Networks',
    'State',
    'Mounts',
    'com.docker.network.bridge.name',
  )
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue(),
      fc.constant('bridge'),
      fc.array(tie('value')),
      fc.dictionary(keys, tie('value')),
    ),
  })).value
  fc.assert(
    fc.property(json, json, (networks, containers) => {
      const { value } = parseInventory({ networks, containers })
      for (const { bridge } of value.networks)
        if (bridge !== undefined) expect(bridge).toMatch(/^[A-Za-z0-9_.-]{1,15}$/)
    }),
  )
})
