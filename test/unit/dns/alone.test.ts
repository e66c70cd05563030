import { expect, test, vi } from 'vitest'
import { DnsClient, MANY_QUESTIONS } from '../../../src/dns/client.ts'
import { BatchedSocket } from '../../../src/system/datagrams/batched-socket.ts'
import type { ConnectOptions, Datagrams } from '../../../src/system/datagrams/model.ts'
import { PlainSocket } from '../../../src/system/datagrams/plain-socket.ts'
import { wire } from '../gateway/messages.ts'

const sent: boolean[] = []

/** The socket to a server that takes packets as they lie on the wire: it understands only what went alone. */
const socketToServer = ({ onMessage }: ConnectOptions): Datagrams => ({
  place: { address: '192.0.2.1', port: 1 },
  send: (message: Buffer, _to: unknown, joined: boolean) => {
    sent.push(joined)
    if (joined) return
    const answer = Buffer.from(message)
    answer.writeUInt16BE(0x8180, 2)
    setImmediate(() => onMessage(answer, { address: '192.0.2.1', port: 53, encoded: undefined }))
  },
  close: () => undefined,
})

test('a server that is silent to questions that share a packet is asked one by one', async () => {
  vi.spyOn(BatchedSocket, 'connect').mockImplementation(
    (_kernel, options) => socketToServer(options) as BatchedSocket,
  )
  vi.spyOn(PlainSocket, 'connect').mockImplementation((options) => socketToServer(options) as PlainSocket)
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
