import { readdir, readlink, stat } from 'node:fs/promises'
import { readBounded } from './read-file.ts'

/** What /proc tells about the owner of a process. */
export interface RunningProcess {
  readonly pid: number
  /** The short name, at most 15 characters. Anybody can choose it. */
  readonly comm: string
  /**
   * Are all its user and group ids root's? A setuid program that another user started keeps that user's group, and mostly the real user id, while
   * the user chooses its name and its arguments.
   */
  readonly isRoots: boolean
  /** /proc/PID/cgroup, a line a hierarchy. */
  readonly cgroup: string
  /** `pid:[4026531836]`: equal for processes of one PID namespace. */
  readonly pidNamespace: string
}

/** Longer than the command line of any service. The kernel allows some megabytes. */
const MAX_BYTES = 256 * 1024
/** How many processes are read at the same time. Each needs a file descriptor. */
const AT_ONCE = 64

/**
 * Root's processes with this short name, as far as they can be seen: none where /proc is hidden or in a PID namespace of our own. Of processes of other
 * users only the owner is read: what they say about themselves need not be true, and they can make reading it take as long as they want.
 */
export const rootsProcessesNamed = async (comm: string, proc = '/proc'): Promise<RunningProcess[]> => {
  const pids = (await readdir(proc)).filter((entry) => /^\d+$/.test(entry)).map(Number)
  const found: RunningProcess[] = []
  for (let start = 0; start < pids.length; start += AT_ONCE) {
    const some = await Promise.all(pids.slice(start, start + AT_ONCE).map((pid) => ifNamed(comm, proc, pid)))
    found.push(...some.filter((process) => process !== undefined))
  }
  return found.filter(({ isRoots }) => isRoots)
}

export const thisProcess = async (
  proc = '/proc',
): Promise<Pick<RunningProcess, 'pid' | 'cgroup' | 'pidNamespace'>> => ({
  pid: process.pid,
  cgroup: await readProcess('self', 'cgroup', proc),
  pidNamespace: await readlink(`${proc}/self/ns/pid`),
})

/** The arguments of its command line. Rejects for a process that has ended. */
export const argvOf = async (pid: number, proc = '/proc'): Promise<string[]> =>
  (await readProcess(pid, 'cmdline', proc)).split('\0').slice(0, -1)

/** The text of a file in /proc/PID. */
export const readProcess = (pid: number | 'self', file: string, proc = '/proc'): Promise<string> =>
  readBounded(`${proc}/${pid}/${file}`, { maxBytes: MAX_BYTES })

/** Undefined also for a process that ends while it is read, or that we may not look at. */
const ifNamed = async (comm: string, proc: string, pid: number): Promise<RunningProcess | undefined> => {
  try {
    if ((await stat(`${proc}/${pid}`)).uid !== 0) return undefined
    if ((await readProcess(pid, 'comm', proc)).trimEnd() !== comm) return undefined
    const [status, cgroup] = await Promise.all([
      readProcess(pid, 'status', proc),
      readProcess(pid, 'cgroup', proc),
    ])
    const pidNamespace = await pidNamespaceOf(pid, status, proc)
    return { pid, comm, isRoots: isRoots(status), cgroup, pidNamespace }
  } catch {
    return undefined
  }
}

/** The real, effective, saved and file-system ids of user and group. */
const isRoots = (status: string): boolean =>
  /^Uid:\s+0\s+0\s+0\s+0$/m.test(status) && /^Gid:\s+0\s+0\s+0\s+0$/m.test(status)

/**
 * The kernel shows the link only to processes with all the capabilities of this one, which we do not have in a hardened unit. But anybody may read in
 * how many PID namespaces a process has a number: one with a single number in this /proc, as we have, is in our namespace.
 */
const pidNamespaceOf = async (pid: number, status: string, proc: string): Promise<string> => {
  try {
    return await readlink(`${proc}/${pid}/ns/pid`)
  } catch (error) {
    if (depthOf(status) !== 1 || depthOf(await readProcess('self', 'status', proc)) !== 1) throw error
    return readlink(`${proc}/self/ns/pid`)
  }
}

const depthOf = (status: string): number =>
  /^NSpid:((?:\s+\d+)+)$/m.exec(status)?.[1]?.trim().split(/\s+/).length ?? 0
