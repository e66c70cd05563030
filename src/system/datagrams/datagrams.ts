import { BatchedSocket, type Kernel } from './batched-socket.ts'
import { loadLibc } from './libc.ts'
import { MessageBatch } from './message-batch.ts'
import type { BindOptions, ConnectOptions, Datagrams } from './model.ts'
import { PlainSocket } from './plain-socket.ts'

let kernel: Kernel | Error | undefined

/** Undefined: many messages go in one call. Else why each has one of its own, which is right as well, and slower. */
export function whyNotBatched(): string | undefined {
  const found = kernelOrWhyNot()
  return found instanceof Error ? found.message : undefined
}

/** Rejects when the place is taken. */
export async function bindDatagrams(options: BindOptions): Promise<Datagrams> {
  const found = kernelOrWhyNot()
  return found instanceof Error ? PlainSocket.bind(options) : BatchedSocket.bind(found, options)
}

/** The kernel lets through only what the host sent from that port. A host to which there is no way is an error that comes by its event. */
export function connectDatagrams(options: ConnectOptions): Datagrams {
  const found = kernelOrWhyNot()
  return found instanceof Error ? PlainSocket.connect(options) : BatchedSocket.connect(found, options)
}

function kernelOrWhyNot(): Kernel | Error {
  kernel ??= load()
  return kernel
}

function load(): Kernel | Error {
  try {
    const libc = loadLibc()
    return { libc, arriving: new MessageBatch(libc), leaving: new MessageBatch(libc) }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
