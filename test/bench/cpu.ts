import { readdirSync, readFileSync } from 'node:fs'

/** The kernel's unit in /proc, a hundredth of a second on every Linux that Debian builds. */
const MS_PER_TICK = 10

/** CPU time that a process, its children and those that ended have used so far. Exact to a tick each. */
export function cpuMs(pid: number): number {
  return treeOf(pid)
    .map((member) => {
      const fields = statOf(member)
      // User and system time; of the ended children too.
      return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * MS_PER_TICK
    })
    .reduce((sum, ms) => sum + ms, 0)
}

export function rssMb(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1]) / 1024
}

/** The process and all that descend from it. */
export function treeOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter((child) => child !== '')
      .map(Number),
  )
  return [pid, ...children.flatMap((child) => ifAlive(() => treeOf(child)) ?? [])]
}

/** Fields of /proc/PID/stat from the state on; the name before it may hold anything. */
function statOf(pid: number): string[] {
  const stat = ifAlive(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? ''
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** A child may end between two looks; its time is then in its parent's. */
function ifAlive<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
