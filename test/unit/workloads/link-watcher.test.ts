import { afterEach, describe, expect, test, vi } from 'vitest'
import type { LineProcess } from '../../../src/system/line-process.ts'
import type { LinkChange } from '../../../src/workloads/link-watcher.ts'
import { parseAddressLine, parseLinkLine, watchLinks } from '../../../src/workloads/link-watcher.ts'

// As iproute2 6.1 prints them, the long tails cut.
const HEAD = '<BROADCAST,MULTICAST> mtu 1500 qdisc noop'
const ETHER =
  'link/ether 92:c6:a3:06:82:b6 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535 '
const BRIDGE = `2: br-lan: ${HEAD} state DOWN group default \\    ${ETHER}\\    bridge forward_delay 1500 stp_state 0 `
const PORT = `4: veth0a1b2c3@if3: ${HEAD} master br-lan state DOWN group default \\    ${ETHER}\\    veth \\    bridge_slave state disabled `

describe('a line of ip monitor', () => {
  test.each<[string, string, LinkChange | undefined]>([
    [
      'a bridge',
      BRIDGE,
      {
        index: 2,
        name: 'br-lan',
        kind: 'bridge',
        master: undefined,
        lower: undefined,
        peer: undefined,
        isConnected: false,
        deleted: false,
      },
    ],
    [
      'a bridge that goes',
      `Deleted ${BRIDGE}`,
      {
        index: 2,
        name: 'br-lan',
        kind: 'bridge',
        master: undefined,
        lower: undefined,
        peer: undefined,
        isConnected: false,
        deleted: true,
      },
    ],
    [
      'a port',
      PORT,
      {
        index: 4,
        name: 'veth0a1b2c3',
        kind: 'veth',
        master: 'br-lan',
        lower: undefined,
        peer: undefined,
        isConnected: false,
        deleted: false,
      },
    ],
    [
      'a port whose other end is in a container',
      `4: veth0a1b2c3@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br-lan state UP group default \\    link/ether 92:c6:a3:06:82:b6 brd ff:ff:ff:ff:ff:ff link-netnsid 12 promiscuity 1 \\    veth \\    bridge_slave state forwarding `,
      {
        index: 4,
        name: 'veth0a1b2c3',
        kind: 'veth',
        master: 'br-lan',
        lower: undefined,
        peer: { index: 3, namespace: 12 },
        isConnected: true,
        deleted: false,
      },
    ],
    [
      'hardware',
      `2: eth0: ${HEAD} state UP group default qlen 1000\\    ${ETHER}`,
      {
        index: 2,
        name: 'eth0',
        kind: undefined,
        master: undefined,
        lower: undefined,
        peer: undefined,
        isConnected: false,
        deleted: false,
      },
    ],
    [
      'a name with an @ of its own',
      `9: a@b@NONE: ${HEAD} state DOWN group default \\    ${ETHER}\\    veth numtxqueues 2`,
      {
        index: 9,
        name: 'a@b',
        kind: 'veth',
        master: undefined,
        lower: undefined,
        peer: undefined,
        isConnected: false,
        deleted: false,
      },
    ],
    [
      'a port that leaves its bridge is not an interface that goes',
      'Deleted 4: v0@v1: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 master br-lan state DOWN \\    link/ether 02:ed:1c:a2:88:fb',
      undefined,
    ],
    ['something else', 'Timestamp: Sat Nov 21 22:44:00 2026', undefined],
    ['nothing', '', undefined],
  ])('%s', (_title, line, change) => {
    expect(parseLinkLine(line)).toEqual(change)
  })
})

describe('a line about an address', () => {
  test.each([
    [
      '2: br-x    inet 172.30.0.1/24 scope global br-x\\       valid_lft forever preferred_lft forever',
      { index: 2, address: '172.30.0.1', deleted: false },
    ],
    [
      'Deleted 4: vetha    inet6 fe80::3484:4dff:fe74:91c0/64 scope link \\       valid_lft forever preferred_lft forever',
      { index: 4, address: 'fe80::3484:4dff:fe74:91c0', deleted: true },
    ],
    [
      '3: ppp0    inet 192.0.2.7 peer 192.0.2.8/32 scope global ppp0',
      { index: 3, address: '192.0.2.7', deleted: false },
    ],
    [PORT, undefined],
    ['', undefined],
  ])('%s', (line, change) => {
    expect(parseAddressLine(line)).toEqual(change)
  })
})

describe('watching', () => {
  let process: LineProcess | undefined
  afterEach(() => process?.stop())

  test('tells each change, and begins anew when the program ends', async () => {
    const changes: string[] = []
    let starts = 0
    const ends: string[] = []
    process = watchLinks(
      {
        onLink: ({ name }) => changes.push(name),
        onAddress: () => undefined,
        onStart: () => (starts += 1),
        onEnd: (error) => ends.push(error.message),
      },
      ['printf', '%s\\n', BRIDGE, 'junk', PORT],
    )
    process.start()
    await vi.waitFor(() => expect(starts).toBe(2), { timeout: 5_000 })
    expect(changes.slice(0, 2)).toEqual(['br-lan', 'veth0a1b2c3'])
    expect(ends[0]).toBe('printf ended')
  })

  test('what it complains of is a gap', async () => {
    let starts = 0
    const listener = { onLink: () => {}, onAddress: () => {}, onStart: () => (starts += 1), onEnd: () => {} }
    process = watchLinks(listener, [
      'sh',
      '-c',
      'echo "netlink receive error No buffer space available (105)" >&2; exec sleep 60',
    ])
    process.start()
    await vi.waitFor(() => expect(starts).toBe(2), { timeout: 5_000 })
  })

  test('a program that is missing is told and tried again', async () => {
    const ends: Error[] = []
    process = watchLinks(
      { onLink: () => {}, onAddress: () => {}, onStart: () => {}, onEnd: (error) => ends.push(error) },
      ['no-such-ip'],
    )
    process.start()
    await vi.waitFor(() => expect(ends.length).toBeGreaterThan(1), { timeout: 5_000 })
    expect(ends[0]?.message).toBe('running no-such-ip')
  })
})
