import { expect, test } from 'vitest'
import type { Address, Cidr } from '../../../../src/net/types.ts'
import type { Container } from '../../../../src/workloads/model.ts'
import { findStrayDns } from '../../../../src/workloads/resolvers/stray-dns.ts'

const container = (name: string, dns: readonly string[], more: Partial<Container> = {}): Container => ({
  id: name,
  name,
  running: true,
  pid: 1,
  imageId: '',
  imageLabels: {},
  networkMode: 'bridge',
  runtime: 'runc',
  privileged: false,
  capAdd: [],
  capDrop: [],
  pidMode: '',
  cgroupnsMode: '',
  securityOpt: [],
  mounts: [],
  dns,
  publishedPorts: [],
  servedPorts: [],
  labels: {},
  resolvConfPath: undefined,
  endpoints: [
    {
      networkId: 'n',
      networkName: 'bridge',
      addresses: ['172.17.0.2' as Address],
      mac: undefined,
      gateways: [],
    },
  ],
  ...more,
})

test('containers that ask elsewhere are named, with what is denied of it', () => {
  const containers = [
    container('plain', []),
    container('same', ['198.51.100.1']),
    container('both', ['198.51.100.1', '9.9.9.9']),
    container('stray', ['9.9.9.9', '2620:fe::fe']),
    container('stopped', ['9.9.9.9'], { running: false }),
    container('unguarded', ['9.9.9.9'], { endpoints: [] }),
  ]
  const found = findStrayDns(
    { networks: [], containers },
    ['172.17.0.0/16' as Cidr],
    ['198.51.100.1' as Address],
  )
  expect(found).toEqual([
    { container: 'both', servers: ['9.9.9.9'] },
    { container: 'stray', servers: ['9.9.9.9', '2620:fe::fe'] },
  ])
})
