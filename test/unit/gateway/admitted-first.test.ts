import fc from 'fast-check'
import { decode, type DecodedPacket } from 'dns-packet'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { a, cname } from '../../support/dns-server.ts'
import { answering, asker, deferred, namesOf, SHOP, STRANGER, TestGateway, turns, WEB } from './gateways.ts'
import { question, reply, wire } from './messages.ts'

const MAX_HOLD_MS = 1000
const NAMES = ['a.example.com', 'b.example.com', 'c.example.com', 'evil.example.org']
/** What each may ask for, as its grants are written. */
const GRANTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [WEB]: { 'a.example.com': 'a.example.com', 'b.example.com': 'b.example.com' },
  [SHOP]: {
    'a.example.com': '*.example.com',
    'b.example.com': '*.example.com',
    'c.example.com': '*.example.com',
  },
}
/** Beyond what a datagram holds, with and without options. */
const MORE_THAN_FIT = Array.from({ length: 100 }, (_, at) => a('cdn.example.net', `198.51.100.${at}`, 20))
/** No name may lead there. */
const REFUSED = '169.254.169.254'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

type Step =
  | {
      readonly kind: 'ask'
      readonly from: string
      readonly name: string
      readonly isUdp: boolean
      readonly edns: boolean
    }
  | {
      readonly kind: 'say'
      readonly which: number
      readonly what: 'addresses' | 'many' | 'absence' | 'failure' | 'garbage'
    }
  | { readonly kind: 'hold'; readonly which: number; readonly succeeds: boolean }
  | { readonly kind: 'forget' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'later'; readonly ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      from: fc.constantFrom(WEB, SHOP, STRANGER),
      name: fc.constantFrom(...NAMES),
      isUdp: fc.boolean(),
      edns: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('say' as const),
      which: fc.nat(9),
      what: fc.constantFrom(
        'addresses' as const,
        'addresses' as const,
        'many' as const,
        'absence' as const,
        'failure' as const,
        'garbage' as const,
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('hold' as const), which: fc.nat(9), succeeds: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('forget' as const, 'wait' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('later' as const),
      ms: fc.constantFrom(1, 10_000, 60_000, 100_000_000),
    }),
  },
)

async function play(steps: readonly Step[]): Promise<number> {
  const world = new TestGateway(
    answering({
      config: { maxHoldMs: MAX_HOLD_MS },
      names: namesOf({ web: Object.values(GRANTS[WEB] ?? {}), shop: ['*.example.com'] }),
      askers: { [WEB]: asker('web', ['web']), [SHOP]: asker('shop', ['shop']) },
    }),
  )
  /** What the kernel holds, by the grant and the address. */
  const held = new Set<string>()
  const said: { name: string; resolve: (message: Buffer) => void; reject: (error: Error) => void }[] = []
  const holds: { finish: (succeeds: boolean) => void }[] = []
  const open = new Map<number, { from: string; name: string; message: Buffer; answers: number }>()
  const problems: unknown[] = []
  let withAddresses = 0
  let serial = 0

  world.upstream = ({ name }) => {
    const { promise, resolve, reject } = deferred<Buffer>()
    said.push({ name: NAMES.find((one) => wire(one) === name) ?? '', resolve, reject })
    return promise
  }
  world.kernel = (as, addresses) => {
    const good = addresses.filter(({ address }) => address !== REFUSED)
    const places = as.flatMap((name) => good.map(({ address }) => `${name} ${address}`))
    const refused = new Set(addresses.map(({ address }) => address).filter((address) => address === REFUSED))
    if (places.every((place) => held.has(place))) return { refused, done: undefined }
    const { promise, resolve, reject } = deferred()
    const finish = (succeeds: boolean): void => {
      if (!succeeds) return reject(new Error('full'))
      for (const place of places) held.add(place)
      resolve()
    }
    holds.push({ finish })
    return { refused, done: promise }
  }

  const ask = ({ from, name, isUdp, edns }: Extract<Step, { kind: 'ask' }>): void => {
    const id = serial++
    const message = question({ name, id, ...(edns ? { edns: 1232 } : {}) })
    const one = { from, name, message, answers: 0 }
    open.set(id, one)
    world.gateway.handle(message, from, isUdp, (bytes) => {
      one.answers++
      try {
        look(one, bytes, id)
      } catch (error) {
        problems.push(error)
      }
    })
  }

  const look = (
    { from, name, answers: count }: { from: string; name: string; answers: number },
    bytes: Buffer,
    id: number,
  ): void => {
    const { rcode, answers = [], questions } = decode(bytes) as DecodedPacket & { rcode: string }
    expect(count).toBe(1)
    expect(from).not.toBe(STRANGER)
    expect(bytes.readUInt16BE(0)).toBe(id)
    expect(questions?.[0]?.name).toBe(name)
    const grant = GRANTS[from]?.[name]
    if (grant === undefined) expect([rcode, answers]).toEqual(['REFUSED', []])
    for (const record of answers) {
      if (record.type !== 'A') continue
      withAddresses++
      expect(rcode).toBe('NOERROR')
      expect(record.data).not.toBe(REFUSED)
      expect(held).toContain(`${grant} ${record.data}`)
    }
  }

  const say = (index: number, what: Extract<Step, { kind: 'say' }>['what']): void => {
    const [one] = said.splice(index % Math.max(1, said.length), 1)
    if (!one) return
    const { name } = one
    const last = `192.0.2.${(serial % 3) + 1}`
    if (what === 'failure') one.reject(new Error('silence'))
    else if (what === 'garbage') one.resolve(Buffer.from('nothing that is a message'))
    else if (what === 'absence') one.resolve(reply([], { name, rcode: 3 }))
    else
      one.resolve(
        reply(
          [
            cname(name, 'cdn.example.net', 30),
            a('cdn.example.net', last, 20),
            ...(what === 'many' ? MORE_THAN_FIT : []),
            a('cdn.example.net', REFUSED, 20),
          ],
          {
            name,
          },
        ),
      )
  }

  for (const one of steps) {
    if (one.kind === 'ask') ask(one)
    else if (one.kind === 'say') say(one.which, one.what)
    else if (one.kind === 'hold')
      holds.splice(one.which % Math.max(1, holds.length), 1)[0]?.finish(one.succeeds)
    else if (one.kind === 'forget') held.clear()
    else if (one.kind === 'wait') vi.advanceTimersByTime(MAX_HOLD_MS)
    else world.nowMs += one.ms
    await turns()
    if (problems.length > 0) throw problems[0]
  }
  while (said.length > 0) {
    say(0, 'failure')
    await turns()
  }
  vi.advanceTimersByTime(MAX_HOLD_MS)
  await turns()
  for (const { from, answers } of open.values()) expect(answers).toBe(from === STRANGER ? 0 : 1)
  for (const { finish } of holds) finish(true)
  await turns()
  expect(vi.getTimerCount()).toBe(0)
  expect(problems).toEqual([])
  for (const { name } of world.asked) expect(name).not.toContain('evil')
  return withAddresses
}

test('no answer names an address before the kernel holds it for the one who asks', async () => {
  let withAddresses = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
      withAddresses += await play(steps)
    }),
    { numRuns: 200 },
  )
  expect(withAddresses).toBeGreaterThan(100)
})
