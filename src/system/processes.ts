import { readdir, readlink, stat } from 'node:fs/promises'
import { readBounded } from './read-file.ts'

/** What /proc tells of a process that decides whose it is. */
export interface RunningProcess {
  readonly pid: number
  /** The short name, at most 15 characters. Anybody can choose it. */
  readonly comm: string
  /**
   * Are all its user and group ids root's? A program with the setuid bit that somebody else started keeps his group, and mostly his real user
   * id, while it runs under a name and with words of his choice.
   */
  readonly isRoots: boolean
  /** /proc/PID/cgroup, a line a hierarchy. */
  readonly cgroup: string
  /** `pid:[4026531836]`: equal for processes of one PID namespace. */
  readonly pidNamespace: string
}

/** More than a command line of a service has; the kernel would take some megabytes. */
const MAX_BYTES = 256 * 1024
/** Read at the same time, however many processes somebody starts: each takes a descriptor. */
const AT_ONCE = 64

/**
 * Root's processes with this short name, as far as they can be seen: with /proc hidden or in a PID namespace of our own, none. Of others' processes only
 * the owner is asked for: what they say of themselves need not be true, and to ask for it may take them as long as they want.
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

/** The words of its command line. Rejects for a process that has ended. */
export const argvOf = async (pid: number, proc = '/proc'): Promise<string[]> =>
  (await readProcess(pid, 'cmdline', proc)).split('\0').slice(0, -1)

/** A file of a process as the kernel shows it. */
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

/** Real, effective, saved and that for files, of user and group. */
const isRoots = (status: string): boolean =>
  /^Uid:\s+0\s+0\s+0\s+0$/m.test(status) && /^Gid:\s+0\s+0\s+0\s+0$/m.test(status)

/**
 * The kernel shows the link to nobody with fewer capabilities than the process has, which is our case in a hardened unit. In how many
 * namespaces it has a number, anybody may read: one that has a single number in this /proc, as we do, is in our namespace.
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
