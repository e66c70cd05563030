import { libcOrWhyNot } from '../libc.ts'
import { BatchedSocket, type Kernel } from './batched-socket.ts'
import { MessageBatch } from './message-batch.ts'
import type { BindOptions, ConnectOptions, Datagrams } from './model.ts'
import { PlainSocket } from './plain-socket.ts'

let memory: Pick<Kernel, 'arriving' | 'leaving'> | undefined

/** Rejects when the place is taken. */
export async function bindDatagrams(options: BindOptions): Promise<Datagrams> {
  const kernel = kernelIfAny()
  return kernel ? BatchedSocket.bind(kernel, options) : PlainSocket.bind(options)
}

/** The kernel lets through only what the host sent from that port. That there is no way to the host is thrown, or comes as an error of the socket. */
export function connectDatagrams(options: ConnectOptions): Datagrams {
  const kernel = kernelIfAny()
  return kernel ? BatchedSocket.connect(kernel, options) : PlainSocket.connect(options)
}

/** Undefined: a message has a call of its own, which is right as well, and slower. */
function kernelIfAny(): Kernel | undefined {
  const libc = libcOrWhyNot()
  if (libc instanceof Error) return undefined
  memory ??= { arriving: new MessageBatch(libc), leaving: new MessageBatch(libc) }
  return { libc, ...memory }
}
