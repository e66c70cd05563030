import { createSocket } from 'node:dgram'
import { afterEach, expect, test } from 'vitest'
import { bindDatagrams } from '../../../../src/system/datagrams/datagrams.ts'
import { encodeSocketAddress, FAMILY } from '../../../../src/system/datagrams/socket-address.ts'
import { libcOrWhyNot } from '../../../../src/system/libc.ts'
import { otherHolders, socketsAt } from '../../../../src/system/port-holders.ts'

/** Whoever binds a port of ours as well gets what is sent to it. */

const found = libcOrWhyNot()
if (found instanceof Error) throw found
const libc = found
const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

const PLACES = { udp4: ['0.0.0.0', '127.0.0.1'], udp6: ['::', '::1'] } as const
type Type = keyof typeof PLACES

/** Undefined: it has the port. */
const takenBy = (type: Type, port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket({ type, reuseAddr: true, ipv6Only: type === 'udp6' })
    ends.push(() => socket.close())
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.bind(port, PLACES[type][1], () => resolve(undefined))
  })

const open = async (type: Type, at: Parameters<typeof bindDatagrams>[0]['at']) => {
  const socket = await bindDatagrams({
    type,
    at,
    receiveBytes: 1 << 20,
    onMessage: () => undefined,
    onError: () => undefined,
  })
  ends.push(() => socket.close())
  return socket
}

/** As systemd makes it. */
function heldSocket(type: Type, port = 0): number {
  const fd = libc.socket(FAMILY[type], 2, 0)
  const yes = Buffer.from([1, 0, 0, 0])
  const address = encodeSocketAddress(type, PLACES[type][0], port)
  expect(libc.setsockopt(fd, 1, 2, yes, yes.length)).toBe(0)
  if (type === 'udp6') expect(libc.setsockopt(fd, 41, 26, yes, yes.length)).toBe(0)
  expect(libc.bind(fd, address, address.length)).toBe(0)
  return fd
}

test.each(['udp4', 'udp6'] as const)('a %s port of ours is bound by nobody else', async (type) => {
  const socket = await open(type, { address: PLACES[type][0], port: 0 })
  expect(await takenBy(type, socket.place.port)).toBe('EADDRINUSE')
})

test.each(['udp4', 'udp6'] as const)('nor is one that was held for us, by %s', async (type) => {
  const socket = await open(type, { fd: heldSocket(type) })
  expect(await takenBy(type, socket.place.port)).toBe('EADDRINUSE')
})

test('who was there before is seen, with his user', async () => {
  const socket = await open('udp4', { fd: heldSocket('udp4') })
  const { port } = socket.place
  expect(await otherHolders(port)).toEqual([])
  const [own] = socketsAt(port, (await import('node:fs')).readFileSync('/proc/net/udp', 'utf8'))
  expect(own).toMatchObject({ uid: process.getuid?.() })
})

test('a table of sockets is read', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 2177: 00000000:2745 00000000:0000 07 00000000:00000000 00:00000000 00000000 65534        0 53170 2 00000000a5a6e5a7 0
 2178: 00000000:2746 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 53171 2 00000000a5a6e5a7 0
 2179: 00000000000000000000000000000000:2745 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 53172 2 00000000a5a6e5a7 0
`
  expect(socketsAt(10_053, table)).toEqual([
    { inode: '53170', uid: 65_534 },
    { inode: '53172', uid: 1000 },
  ])
  expect(socketsAt(53, table)).toEqual([])
})
