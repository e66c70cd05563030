import { expect, test } from 'vitest'
import type { Container } from '../../../src/workloads/model.ts'
import { publishedOf } from '../../../src/workloads/published.ts'

const container = (publishedPorts: Container['publishedPorts'], running = true): Container => ({
  id: 'abcdef0123456789',
  name: 'web',
  running,
  pid: running ? 1 : undefined,
  networkMode: 'bridge',
  runtime: 'runc',
  privileged: false,
  capAdd: [],
  capDrop: [],
  pidMode: '',
  cgroupnsMode: '',
  securityOpt: [],
  mounts: [],
  dns: [],
  publishedPorts,
  servedPorts: [],
  labels: {},
  imageId: '',
  imageLabels: undefined,
  resolvConfPath: undefined,
  endpoints: [],
})
const on = (hostIp: string, protocol = 'tcp') => container([{ hostIp, hostPort: 80, protocol }])
const elements = (...containers: Container[]): string[] => [...publishedOf(containers).keys()]

test.each([
  ['0.0.0.0', ['0.0.0.0/1,tcp:80', '128.0.0.0/1,tcp:80']],
  ['::', ['::/1,tcp:80', '8000::/1,tcp:80']],
  ['', ['0.0.0.0/1,tcp:80', '128.0.0.0/1,tcp:80', '::/1,tcp:80', '8000::/1,tcp:80']],
  ['192.0.2.1', ['192.0.2.1,tcp:80']],
  ['2001:DB8::1', ['2001:db8::1,tcp:80']],
  // For the host and who shares its network; the rules close it to everybody else.
  ['127.0.0.1', ['127.0.0.1,tcp:80']],
  ['::1', ['::1,tcp:80']],
  ['nonsense', []],
])('published on %j', (hostIp, expected) => {
  expect(elements(on(hostIp))).toEqual(expected)
})

test.each(['udp', 'sctp'])('over %s', (protocol) => {
  expect(elements(on('192.0.2.1', protocol))).toEqual([`192.0.2.1,${protocol}:80`])
})

test('a protocol that no set knows is left out, and spoils nothing', () => {
  expect(elements(on('192.0.2.1', 'tcp:1\nflush'), on('192.0.2.2'))).toEqual(['192.0.2.2,tcp:80'])
})

test('who does not run publishes nothing', () => {
  expect(elements(container([{ hostIp: '0.0.0.0', hostPort: 80, protocol: 'tcp' }], false))).toEqual([])
})

test('says whose it is', () => {
  expect([...publishedOf([on('192.0.2.1')])]).toEqual([['192.0.2.1,tcp:80', 'abcdef012345']])
})
