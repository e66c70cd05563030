import { afterEach, expect, test, vi } from 'vitest'
import { UpstreamWatch } from '../../../src/daemon/upstream-watch.ts'
import { DnsClient, MANY_QUESTIONS } from '../../../src/dns/client.ts'
import { RawDnsServer, type RawAsked } from '../../support/raw-dns-server.ts'

const EVERY_MS = 20
const QUESTION = { name: '\x01a\x07example\0', type: 1, dnssecOk: false, checkingDisabled: false }

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

/** Answers with this code; undefined: not at all. Of the root the same, unless another code is given. */
const saying =
  (code: number | undefined, ofRoot = code) =>
  ({ query, send }: RawAsked): void => {
    const rcode = query[12] === 0 ? ofRoot : code
    if (rcode === undefined) return
    const message = Buffer.from(query)
    message.writeUInt16BE(0x8180 | rcode, 2)
    send(message)
  }

async function watched(script: (asked: RawAsked) => void) {
  const server = await RawDnsServer.start(script, { udpOnly: true })
  const upstreams = new DnsClient({
    servers: [{ kind: 'plain', host: '127.0.0.1', port: server.port }],
    timeoutMs: 100,
    ports: MANY_QUESTIONS,
  })
  const told: (string | undefined)[] = []
  const watch = new UpstreamWatch({ everyMs: EVERY_MS, onState: (problem) => told.push(problem) })
  watch.watch(upstreams)
  const looks = vi.spyOn(upstreams, 'failuresInARow', 'get')
  /** The watch looks some times more. */
  const looksOn = () => {
    const before = looks.mock.calls.length
    return vi.waitFor(() => expect(looks.mock.calls.length).toBeGreaterThan(before + 4), 3_000)
  }
  cleanUps.push(
    () => server.stop(),
    () => upstreams.close(),
    () => watch.stop(),
  )
  const ask = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () => new Promise<void>((done) => upstreams.ask(QUESTION, () => done()))),
    )
  return { server, told, ask, looksOn }
}

test.each([
  ['is silent', undefined, /no answer from 127\.0\.0\.1:\d+.*dns\.upstreams/],
  ['refuses', 5, /REFUSED by 127\.0\.0\.1/],
  ['fails', 2, /code 2 by/],
])('an only upstream that %s is told, until it answers', async (_what, code, words) => {
  const { server, told, ask, looksOn } = await watched(saying(code))
  await ask(1)
  await looksOn()
  expect(told.every((problem) => problem === undefined)).toBe(true)
  await ask(1)
  await vi.waitFor(() => expect(told.at(-1)).toMatch(words), 3_000)
  server.script = saying(0)
  await vi.waitFor(() => expect(told.at(-1)).toBeUndefined(), 3_000)
})

test.each([undefined, 2])('names whose own servers are dead are no alarm (code %s)', async (code) => {
  const { server, told, ask, looksOn } = await watched(saying(code, 0))
  await ask(8)
  await vi.waitFor(() => expect(server.asked.some(({ query }) => query[12] === 0)).toBe(true), 3_000)
  await looksOn()
  expect(told.every((problem) => problem === undefined)).toBe(true)
})

test('nothing is asked while containers are answered', async () => {
  const { server, ask, looksOn } = await watched(saying(3))
  await ask(8)
  await looksOn()
  expect(server.asked).toHaveLength(8)
})
