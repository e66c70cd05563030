import { expect, test } from 'vitest'
import { hostAddresses, interfacesOf, parseLinks, readLinks } from '../../../src/system/host.ts'

const IP_OUTPUT = JSON.stringify([
  {
    ifindex: 1,
    ifname: 'lo',
    addr_info: [
      { family: 'inet', local: '127.0.0.1' },
      { family: 'inet6', local: '::1' },
    ],
  },
  { ifindex: 2, ifname: 'eth0', addr_info: [{ local: '198.51.100.2' }, { local: 'fe80::42:acff:fe11:2' }] },
  {
    ifindex: 5,
    ifname: 'docker0',
    linkinfo: { info_kind: 'bridge', info_data: {} },
    addr_info: [{ local: '172.17.0.1' }],
  },
  {},
  {
    ifindex: 7,
    link_index: 6,
    ifname: 'veth0a1b2c3',
    master: 'docker0',
    linkinfo: { info_kind: 'veth', info_slave_kind: 'bridge' },
    addr_info: [],
  },
  { ifindex: 8, ifname: 'eth1', master: 'docker0' },
])

test('bridges with their ports', () => {
  const docker0 = interfacesOf(parseLinks(IP_OUTPUT)).find((one) => one.name === 'docker0')
  expect(docker0).toEqual({
    name: 'docker0',
    kind: 'bridge',
    index: 5,
    isBridge: true,
    lower: undefined,
    ports: [
      { index: 7, name: 'veth0a1b2c3', kind: 'veth' },
      { index: 8, name: 'eth1', kind: undefined },
    ],
    addresses: ['172.17.0.1'],
  })
})

test('every address of the host is its own, the link-local ones too', () => {
  expect([...hostAddresses(interfacesOf(parseLinks(IP_OUTPUT)))]).toEqual([
    '127.0.0.1',
    '::1',
    '198.51.100.2',
    'fe80::42:acff:fe11:2',
    '172.17.0.1',
  ])
})

test('an answer that is not understood is an error, not a host without interfaces', async () => {
  const answering = (stdout: string) => () => Promise.resolve({ stdout, stderr: '', exitCode: 0 })
  await expect(readLinks(answering(''))).rejects.toThrow('no JSON from ip')
  await expect(readLinks(answering('{}'))).rejects.toThrow('no list from ip')
})

test.each(['[{"ifindex":1}]', '[{"ifname":"eth0"}]', '[null]', '[7]', '[{"ifname":"a","ifindex":"1"}]'])(
  'an interface without name or number is an error, and not one less: %s',
  (text) => expect(() => parseLinks(text)).toThrow('no name or no number'),
)
