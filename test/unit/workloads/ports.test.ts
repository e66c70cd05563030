import { expect, test } from 'vitest'
import { interfacesOf, parseLinks, type HostInterface } from '../../../src/system/host.ts'
import { findPorts, portKey, type Connected } from '../../../src/workloads/ports.ts'

const link = (ifname: string, master: string, namespace?: number) => ({
  ifindex: Number(ifname.slice(4)),
  ifname,
  master,
  link_index: 2,
  ...(namespace === undefined ? {} : { link_netnsid: namespace }),
  linkinfo: { info_kind: 'veth' },
})
const host = (...links: object[]): HostInterface[] =>
  interfacesOf(
    parseLinks(
      JSON.stringify([
        { ifindex: 10, ifname: 'docker0', linkinfo: { info_kind: 'bridge' } },
        { ifindex: 11, ifname: 'br-1', linkinfo: { info_kind: 'bridge' } },
        ...links,
      ]),
    ),
  )
const container = (id: string, namespace: number | undefined, ...bridges: string[]): Connected => ({
  id,
  namespace,
  bridges,
})

test('each has its port in each of its bridges, though all other ends have one number', () => {
  const found = findPorts(
    [container('a', 0, 'docker0', 'br-1'), container('b', 1, 'br-1')],
    host(link('veth1', 'docker0', 0), link('veth2', 'br-1', 0), link('veth3', 'br-1', 1)),
  )
  expect([...found].map(([key, { name }]) => [key, name])).toEqual([
    [portKey('a', 'docker0'), 'veth1'],
    [portKey('a', 'br-1'), 'veth2'],
    [portKey('b', 'br-1'), 'veth3'],
  ])
})

test.each([
  ['whose namespace is not known', [container('a', undefined, 'br-1')], [link('veth1', 'br-1', 0)]],
  ['whose other end is in the host', [container('a', 0, 'br-1')], [link('veth1', 'br-1')]],
  ['in another bridge', [container('a', 0, 'docker0')], [link('veth1', 'br-1', 0)]],
  ['two of one namespace', [container('a', 0, 'br-1')], [link('veth1', 'br-1', 0), link('veth2', 'br-1', 0)]],
  ['that two claim', [container('a', 0, 'br-1'), container('b', 0, 'br-1')], [link('veth1', 'br-1', 0)]],
])('nobody gets a port %s', (_, containers, links) => {
  expect(findPorts(containers, host(...links)).size).toBe(0)
})
