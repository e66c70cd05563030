import { beforeEach, describe, expect, test } from 'vitest'
import { HeldPackets } from '../../../src/daemon/held-packets.ts'
import { HELD_PACKET, PORT_BITS } from '../../../src/dataplane/names.ts'
import type { QueuedPacket, QueueVerdict } from '../../../src/targets/start-hold/queue-message.ts'
import type { Address } from '../../../src/net/types.ts'
import type { SenderStatus } from '../../../src/targets/bindings/senders.ts'

const HOLD_MS = 1_000

let standing: Map<number, SenderStatus>
let verdicts: Map<number, QueueVerdict>
let settled: number[]
let ends: string[]
let held: HeldPackets
let id = 0

const packet = (port: number): QueuedPacket => ({
  id: (id += 1),
  mark: (HELD_PACKET | (port << PORT_BITS.shift)) >>> 0,
  mac: '02:42:ac:12:00:02',
  source: '172.18.0.2' as Address,
})
const send = (port: number, nowMs: number, holdMs = HOLD_MS): number => {
  const one = packet(port)
  held.arrived(one, nowMs, holdMs)
  return one.id
}

beforeEach(() => {
  standing = new Map()
  verdicts = new Map()
  settled = []
  ends = []
  held = new HeldPackets({
    statusOf: (port) => standing.get(port) ?? 'unknown',
    decide: (one, verdict) => {
      // The kernel takes one verdict for a packet.
      expect(verdicts.has(one)).toBe(false)
      verdicts.set(one, verdict)
    },
    settle: (port) => settled.push(port),
    onEnd: (outcome, heldMs) => ends.push(`${outcome} ${heldMs}`),
  })
})

test('a packet waits until its rights stand, and goes on with them', () => {
  const [first, second] = [send(7, 100), send(7, 150)]
  held.look(200, HOLD_MS)
  expect(verdicts.size).toBe(0)
  standing.set(7, 'known')
  held.look(300, HOLD_MS)
  expect([...verdicts]).toEqual([
    [first, 'repeat'],
    [second, 'repeat'],
  ])
  expect([ends, settled, held.count]).toEqual([['known 200', 'known 150'], [7], 0])
})

test('whoever stays unknown is held once, and judged as unknown from then on', () => {
  const first = send(7, 100)
  expect(held.nextMs(HOLD_MS)).toBe(1_100)
  held.look(1_099, HOLD_MS)
  expect(verdicts.size).toBe(0)
  held.look(1_100, HOLD_MS)
  const next = send(7, 1_200)
  expect([verdicts.get(first), verdicts.get(next)]).toEqual(['repeat', 'repeat'])
  expect([ends, settled, held.nextMs(HOLD_MS)]).toEqual([['unknown 1000', 'unknown 0'], [7], undefined])
})

test('who sends in the name of somebody who came meanwhile is dropped', () => {
  const first = send(7, 100)
  standing.set(7, 'forged')
  held.look(200, HOLD_MS)
  expect(verdicts.get(first)).toBe('drop')
})

test('whose rights stand already waits for nothing', () => {
  standing.set(7, 'known')
  expect(verdicts.get(send(7, 100))).toBe('repeat')
  expect(settled).toEqual([7])
})

test('without a time nothing is held', () => {
  expect(verdicts.get(send(7, 100, 0))).toBe('repeat')
})

describe('a flood', () => {
  test('of one port holds up to 64 packets, and the kernel is told to keep the rest', () => {
    for (let count = 0; count < 1_000; count += 1) send(7, 100)
    expect([held.count, verdicts.size, settled]).toEqual([64, 936, [7]])
    const other = send(8, 101)
    standing.set(8, 'known')
    held.look(102, HOLD_MS)
    expect(verdicts.get(other)).toBe('repeat')
    expect(new Set(ends)).toEqual(new Set(['overflow 0', 'known 1']))
  })

  test('of many ports holds up to 512 packets, and what finds no room is judged as unknown', () => {
    for (let port = 0; port < 100; port += 1) for (let count = 0; count < 20; count += 1) send(port, 100)
    expect([held.count, verdicts.size]).toEqual([512, 2_000 - 512])
    held.look(1_100, HOLD_MS)
    expect([held.count, verdicts.size]).toEqual([0, 2_000])
  })
})
