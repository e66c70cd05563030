/** `forwarder-main.ts ADDRESS PORT UPSTREAM PORT`: hands questions and answers on by UDP and does nothing else: what Node itself costs. */
import { createSocket } from 'node:dgram'

const [address = '', port, upstream = '', upstreamPort] = process.argv.slice(2)
const front = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
const back = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
/** Who asked, by the id that the question bears from here on. */
const askers: { id: number; port: number; address: string }[] = []
let next = 0

front.on('message', (message, from) => {
  next = (next + 1) & 0xffff
  askers[next] = { id: message.readUInt16BE(0), port: from.port, address: from.address }
  message.writeUInt16BE(next, 0)
  back.send(message)
})
back.on('message', (message) => {
  const asker = askers[message.readUInt16BE(0)]
  if (!asker) return
  message.writeUInt16BE(asker.id, 0)
  front.send(message, asker.port, asker.address)
})
back.connect(Number(upstreamPort), upstream, () => front.bind(Number(port), address))
