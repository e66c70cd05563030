/**
 * Lets what is ready happen: timers that are due, and what sockets of this process have sent to each other. For what depends on the kernel or on
 * another process it is too short; there a test waits for the result itself.
 */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
