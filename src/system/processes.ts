import { readdir, readFile, readlink } from 'node:fs/promises'

/** What /proc tells of a process that decides whose it is. */
export interface RunningProcess {
  readonly pid: number
  /** The short name, at most 15 characters. Anybody can choose it. */
  readonly comm: string
  readonly argv: readonly string[]
  /** /proc/PID/cgroup, a line a hierarchy. */
  readonly cgroup: string
  /** `pid:[4026531836]`: equal for processes of one PID namespace. */
  readonly pidNamespace: string
}

/** The processes with this short name, as far as they can be seen: with /proc hidden or in a PID namespace of our own, none. */
export const processesNamed = async (comm: string, proc = '/proc'): Promise<RunningProcess[]> => {
  const pids = (await readdir(proc)).filter((entry) => /^\d+$/.test(entry))
  const found = await Promise.all(pids.map((pid) => ifNamed(comm, proc, Number(pid))))
  return found.filter((process) => process !== undefined)
}

export const thisProcess = async (proc = '/proc'): Promise<Omit<RunningProcess, 'argv' | 'comm'>> => ({
  pid: process.pid,
  cgroup: await readFile(`${proc}/self/cgroup`, 'utf8'),
  pidNamespace: await readlink(`${proc}/self/ns/pid`),
})

/** Undefined also for a process that ends while it is read, or that we may not look at. */
const ifNamed = async (comm: string, proc: string, pid: number): Promise<RunningProcess | undefined> => {
  const directory = `${proc}/${pid}`
  try {
    if ((await readFile(`${directory}/comm`, 'utf8')).trimEnd() !== comm) return undefined
    const [commandLine, cgroup, pidNamespace] = await Promise.all([
      readFile(`${directory}/cmdline`, 'utf8'),
      readFile(`${directory}/cgroup`, 'utf8'),
      pidNamespaceOf(directory, proc),
    ])
    return { pid, comm, argv: commandLine.split('\0').slice(0, -1), cgroup, pidNamespace }
  } catch {
    return undefined
  }
}

/**
 * The kernel shows the link to nobody with fewer capabilities than the process has, which is our case in a hardened unit. In how many
 * namespaces it has a number, anybody may read: one that has a single number in this /proc, as we do, is in our namespace.
 */
const pidNamespaceOf = async (directory: string, proc: string): Promise<string> => {
  try {
    return await readlink(`${directory}/ns/pid`)
  } catch (error) {
    if ((await depthOf(directory)) !== 1 || (await depthOf(`${proc}/self`)) !== 1) throw error
    return readlink(`${proc}/self/ns/pid`)
  }
}

const depthOf = async (directory: string): Promise<number> =>
  /^NSpid:((?:\s+\d+)+)$/m
    .exec(await readFile(`${directory}/status`, 'utf8'))?.[1]
    ?.trim()
    .split(/\s+/).length ?? 0
