import { describe, expect, test } from 'vitest'
import { engineNameServers, hostNameServers } from '../../../src/resolve/host-servers.ts'

describe("the host's name servers", () => {
  const of = (files: Record<string, string>) => hostNameServers(async (path) => files[path])
  const HOST = '/etc/resolv.conf'
  const RESOLVED = '/run/systemd/resolve/resolv.conf'

  test('are those of resolv.conf, without doubles, comments and rubbish', async () => {
    const text =
      '# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 # x\nnameserver 192.0.2.1\nnameserver evil;\n'
    expect(await of({ [HOST]: text })).toEqual(['192.0.2.1', '2001:db8::1'])
  })

  test('are not the loopback ones where there are others', async () => {
    expect(await of({ [HOST]: 'nameserver 127.0.0.1\nnameserver 192.0.2.1\n' })).toEqual(['192.0.2.1'])
  })

  test('are those behind systemd-resolved when only its stub is named', async () => {
    expect(await of({ [HOST]: 'nameserver 127.0.0.53\n', [RESOLVED]: 'nameserver 192.0.2.1\n' })).toEqual([
      '192.0.2.1',
    ])
  })

  test('are loopback ones when there is nothing else', async () => {
    expect(await of({ [HOST]: 'nameserver 127.0.0.53\n' })).toEqual(['127.0.0.53'])
    expect(await of({ [HOST]: 'nameserver 127.0.0.1\n', [RESOLVED]: 'nameserver 192.0.2.1\n' })).toEqual([
      '127.0.0.1',
    ])
  })

  test('are none when nothing names any', async () => expect(await of({})).toEqual([]))
})

test.each([
  ['a stub of systemd-resolved', '127.0.0.53', ['192.0.2.1']],
  ['another stub', '127.0.0.54', ['127.0.0.54']],
  ['a stub and another', '127.0.0.53\nnameserver 192.0.2.2', ['127.0.0.53', '192.0.2.2']],
])('the engine, on a host with %s', async (_title, servers, expected) => {
  const files: Record<string, string> = {
    '/etc/resolv.conf': `nameserver ${servers}\n`,
    '/run/systemd/resolve/resolv.conf': 'nameserver 192.0.2.1\n',
  }
  expect(await engineNameServers(async (path) => files[path])).toEqual(expected)
})
