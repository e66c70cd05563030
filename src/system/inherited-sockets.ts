/** The first descriptor that a service manager hands over. */
const FIRST = 3

/**
 * Descriptors of sockets that the service manager opened for this process and keeps open beyond its end (sd_listen_fds(3)); none without a manager, or
 * when they were meant for another process.
 */
export function inheritedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): readonly number[] {
  const { LISTEN_PID, LISTEN_FDS } = environment
  const count = Number(LISTEN_FDS)
  if (LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1) return []
  return Array.from({ length: count }, (_, index) => FIRST + index)
}
