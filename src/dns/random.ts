import { randomBytes } from 'node:crypto'

const POOL_BYTES = 8192

/** Random bytes are fetched thousands at a time: a call for each question would cost as much as sending it. */
let pool = randomBytes(POOL_BYTES)
let used = 0

/** 0 to 65535, unpredictable. */
export function random16(): number {
  if (used + 2 > pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  used += 2
  return pool.readUInt16BE(used - 2)
}

/** 0 to `count` - 1, unpredictable; each equally likely where `count` is a power of two. */
export const randomBelow = (count: number): number => random16() % count
