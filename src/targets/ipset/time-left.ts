/** Time-outs are read back as whole seconds that are left, rounded down. */
const TOLERANCE_MS = 2_000

/**
 * For how long the kernel is to keep an element: until its right ends, and never longer than the time-out of the set, which closes the
 * host when nobody renews it. Rounded up, since the daemon itself takes it out at the moment of the end. Undefined: the right has ended.
 */
export function secondsToKeep(endMs: number, timeoutSeconds: number, nowMs: number): number | undefined {
  if (endMs <= nowMs) return undefined
  return Math.min(timeoutSeconds, Math.ceil((endMs - nowMs) / 1000))
}

/** Does an element that stands need another time-out? One that lasts is renewed at half of it. */
export function hasOtherTimeout(
  expiresAtMs: number,
  endMs: number,
  timeoutSeconds: number,
  nowMs: number,
): boolean {
  const fullMs = timeoutSeconds * 1000
  const leftMs = expiresAtMs - nowMs
  if (endMs - nowMs < fullMs) return endMs > nowMs && Math.abs(expiresAtMs - endMs) > TOLERANCE_MS
  return leftMs < fullMs / 2 || leftMs > fullMs + TOLERANCE_MS
}
