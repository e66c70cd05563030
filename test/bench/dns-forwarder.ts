/** `dns-forwarder.ts PORT SERVER`: hands questions on and answers back, by number and nothing else: what a forwarder in Node costs at the least. */
import { createSocket } from 'node:dgram'

const [port = '', server = ''] = process.argv.slice(2)
const waiting = new Map<number, { readonly id: number; readonly port: number; readonly address: string }>()
let next = 0
const upstream = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
upstream.on('message', (message) => {
  const number = message.readUInt16BE(0)
  const asker = waiting.get(number)
  if (!asker) return
  waiting.delete(number)
  message.writeUInt16BE(asker.id, 0)
  socket.send(message, asker.port, asker.address)
})
socket.on('message', (message, from) => {
  next = (next + 1) & 0xffff
  waiting.set(next, { id: message.readUInt16BE(0), port: from.port, address: from.address })
  message.writeUInt16BE(next, 0)
  upstream.send(message)
})
upstream.connect(53, server, () => socket.bind(Number(port)))
