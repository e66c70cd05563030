import { expect, test, vi } from 'vitest'
import { DnsClient, MANY_QUESTIONS } from '../../../src/dns/client.ts'
import type { ConnectOptions } from '../../../src/system/datagrams/model.ts'
import { wire } from '../gateway/messages.ts'

const sent: boolean[] = []

/** A server that takes packets as they lie on the wire: it understands only what went alone. */
vi.mock('../../../src/system/datagrams/datagrams.ts', () => ({
  connectDatagrams: ({ onMessage }: ConnectOptions) => ({
    place: { address: '192.0.2.1', port: 1 },
    send: (message: Buffer, _to: undefined, joined: boolean) => {
      sent.push(joined)
      if (joined) return
      const answer = Buffer.from(message)
      answer.writeUInt16BE(0x8180, 2)
      setImmediate(() => onMessage(answer, { address: '192.0.2.1', port: 53, encoded: undefined }))
    },
    close: () => undefined,
  }),
}))

test('a server that is silent to questions that share a packet is asked one by one', async () => {
  const servers = [{ kind: 'plain', host: '192.0.2.1', port: 53, name: undefined }] as const
  const upstreams = new DnsClient({ servers, timeoutMs: 900, ports: MANY_QUESTIONS })
  const ask = () =>
    new Promise((resolve) =>
      upstreams.ask({ name: wire('a.example'), type: 1, dnssecOk: false, checkingDisabled: false }, resolve),
    )
  expect(await ask()).toBeInstanceOf(Buffer)
  expect(sent).toEqual([true, false])
  expect(await ask()).toBeInstanceOf(Buffer)
  expect(sent).toEqual([true, false, false])
  upstreams.close()
})
