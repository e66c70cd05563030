import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOLD_QUEUE } from '../dataplane/names.ts'

/** The queues of this network namespace, one a line. */
const QUEUES = '/proc/self/net/netfilter/nfnetlink_queue'
/** A container's first packets are held for a second at most. Somebody who makes one port after the other does not keep a proof away. */
const MOST_MS = 3_000
const AGAIN_MS = 5

/**
 * Resolves when no packet waits for the rights of its sender, and after some seconds at the latest. When a chain leaves its hook, the kernel drops
 * all that waits in a queue, so a proof takes its tables and ports away in such a moment.
 */
export async function untilQueueIsEmpty(
  read: () => Promise<string> = () => readFile(QUEUES, 'utf8'),
  mostMs = MOST_MS,
): Promise<void> {
  const deadlineMs = performance.now() + mostMs
  // A kernel without such queues holds nothing.
  while (heldPackets(await read().catch(() => '')) > 0 && performance.now() < deadlineMs)
    await sleep(AGAIN_MS)
}

/** A line begins with the number of the queue, the port of its reader, and how many packets wait in it. */
function heldPackets(text: string): number {
  const ours = text.split('\n').find((line) => line.trim().split(/\s+/)[0] === `${HOLD_QUEUE}`)
  return Number(ours?.trim().split(/\s+/)[2] ?? 0)
}
