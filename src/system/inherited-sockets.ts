import { readFileSync, readlinkSync } from 'node:fs'

/** A socket that the service manager opened for this process and keeps open beyond its end. */
export interface InheritedSocket {
  readonly fd: number
  readonly kind: 'udp4' | 'udp6' | 'tcp'
}

/** The first descriptor that a service manager hands over. */
const FIRST = 3

/** The sockets that were handed over (sd_listen_fds(3)). Empty without a service manager, or when they are for another process. */
export function inheritedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): readonly InheritedSocket[] {
  const { LISTEN_PID, LISTEN_FDS } = environment
  const count = Number(LISTEN_FDS)
  if (LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1) return []
  return Array.from({ length: count }, (_, index) => ({ fd: FIRST + index, kind: kindOf(FIRST + index) }))
}

/** Node has to be given the family of a datagram socket, and does not find it out: with the wrong family it receives and cannot answer. */
function kindOf(fd: number): InheritedSocket['kind'] {
  const inode = /^socket:\[(\d+)\]$/.exec(linkOf(fd))?.[1]
  const isIn = (table: string): boolean =>
    inode !== undefined && linesOf(`/proc/net/${table}`).some((line) => line.trim().split(/\s+/)[9] === inode)
  return isIn('udp6') ? 'udp6' : isIn('udp') ? 'udp4' : 'tcp'
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

/** None where the kernel has no such family. */
function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch {
    return []
  }
}
