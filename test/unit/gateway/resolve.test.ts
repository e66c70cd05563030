import { expect, test } from 'vitest'
import { CachingResolver, type Upstream } from '../../../src/gateway/resolve.ts'
import type { Request } from '../../../src/gateway/request.ts'
import { a, cname } from '../../support/dns-server.ts'
import { asker } from './gateways.ts'
import { reply, wire } from './messages.ts'

const NAME = 'a.example.com'
const LOOP = reply([cname(NAME, 'b.example.com'), cname('b.example.com', NAME)])
const GOOD = reply([a(NAME, '192.0.2.1')])
const REQUEST = {
  query: { name: wire(NAME), type: 1, edns: undefined, checkingDisabled: false },
  asker: asker('web', ['web']),
} as unknown as Request

/** What clients get when the upstreams answer so, one after the other. */
function resolved(answers: readonly Buffer[]) {
  const faults: unknown[] = []
  const upstream: Upstream = {
    ask: (_, done, isWhole) => done(answers.find(isWhole) ?? answers[0] ?? new Error('silence')),
  }
  const limits = { minTtlMs: 0, maxTtlMs: 60_000 }
  const resolver = new CachingResolver(
    upstream,
    limits,
    () => 0,
    (error) => faults.push(error),
  )
  let addresses: readonly string[] | undefined
  resolver.resolve(REQUEST, (found) => (addresses = found?.reply.answers.flatMap((one) => one.addresses)))
  return { addresses, faults, cached: resolver.cache.size }
}

test('an upstream whose answer cannot be read gives way to the next one', () => {
  expect(resolved([LOOP, GOOD])).toEqual({ addresses: ['192.0.2.1'], faults: [], cached: 1 })
})

test('where no answer can be read there is none, and it is no fault of ours', () => {
  expect(resolved([LOOP])).toEqual({ addresses: undefined, faults: [], cached: 0 })
  expect(resolved([LOOP, LOOP])).toEqual({ addresses: undefined, faults: [], cached: 0 })
})
