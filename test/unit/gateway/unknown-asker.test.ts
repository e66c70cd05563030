import { expect, test } from 'vitest'
import type { AnswerPolicy, AskerState } from '../../../src/gateway/model.ts'
import { answering, asker, STRANGER, TestGateway, WEB } from './gateways.ts'

const A = { name: 'a.example.com', type: 'A' } as const
const waiting = (awaiting: AskerState, more: Parameters<typeof answering>[0] = {}): AnswerPolicy => ({
  ...answering(more),
  askerState: () => awaiting,
  askerWaitMs: 50,
})
const UNKNOWN = { [STRANGER]: asker('unknown', ['common']) }

test.each([
  ['in the name of nobody', UNKNOWN],
  ['where nobody unknown may ask', {}],
])('a question is not denied %s before it is known who asks', async (_, askers) => {
  const host = new TestGateway(waiting('unknown', { askers }))
  host.says([{ name: 'a.example.com', type: 'A', ttl: 60, data: '198.51.100.1' }])
  const answered = await host.ask(STRANGER, A)
  expect(answered.messages).toHaveLength(0)
  host.gateway.setPolicy(answering({ askers: { [STRANGER]: asker('web', ['web']) } }))
  await expect.poll(() => answered.addresses).toEqual(['198.51.100.1'])
  expect(host.outcomes).toEqual(['answered'])
})

test('it is denied when the time is up, once', async () => {
  const host = new TestGateway(waiting('unknown', { askers: UNKNOWN }))
  const answered = await host.ask(STRANGER, A)
  await expect.poll(() => answered.rcode).toBe('REFUSED')
  const next = await host.ask(STRANGER, A)
  expect(next.rcode).toBe('REFUSED')
  expect([answered.messages.length, host.outcomes]).toEqual([1, ['denied', 'denied']])
})

test('what is allowed to anybody waits for nothing', async () => {
  const host = new TestGateway(waiting('unknown', { askers: { [STRANGER]: asker('unknown', ['web']) } }))
  host.says([{ name: 'a.example.com', type: 'A', ttl: 60, data: '198.51.100.1' }])
  expect((await host.ask(STRANGER, A)).addresses).toEqual(['198.51.100.1'])
})

test('whose address is about to be somebody else’s has nothing denied in the name of the former', async () => {
  const host = new TestGateway(waiting('changing', { askers: { [WEB]: asker('shop', ['shop', 'none']) } }))
  const answered = await host.ask(WEB, { name: 'b.example.org', type: 'A' })
  expect(answered.messages).toHaveLength(0)
  host.gateway.setPolicy(answering())
  await expect.poll(() => answered.rcode).toBe('REFUSED')
})
