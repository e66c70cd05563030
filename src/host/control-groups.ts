/** Where the engine puts containers by default: with cgroup v1 and v2, with the systemd driver and its own. */
const USUAL = (id: string): readonly string[] => [
  `0::/system.slice/docker-${id}.scope`,
  `0::/docker/${id}`,
  `2:pids:/docker/${id}`,
  `2:pids:/system.slice/docker-${id}.scope`,
]

/** How many kinds of places are remembered. */
const MOST_KINDS = 32

/**
 * Finds the processes of containers before the engine tells them. The engine names the control group of a container by the container's id, and puts
 * the first process into it before that process runs anything.
 */
export class ControlGroups {
  /** Lines of `/proc/PID/cgroup` as functions of the container's id, by the line without the id. */
  readonly #kinds = new Map<string, (id: string) => string>()

  /** @param readText undefined: there is no such file */
  constructor(private readonly readText: (path: string) => Promise<string | undefined>) {}

  /** Are these control groups the container's own? If so, the kind of place is remembered for later containers. */
  isPlaceOf(id: string, groups: string): boolean {
    const line = groups.split('\n').find((one) => one.includes(id))
    if (line === undefined) return false
    if (this.#kinds.size >= MOST_KINDS) this.#kinds.clear()
    this.#kinds.set(line.replace(id, ''), (other) => line.replace(id, other))
    return true
  }

  /** Empty where the group is not found. */
  async processesOf(id: string): Promise<number[]> {
    const lines = [...Array.from(this.#kinds.values(), (kind) => kind(id)), ...USUAL(id)]
    for (const path of new Set(lines.flatMap(pathsOf))) {
      const text = await this.readText(`${path}/cgroup.procs`)
      if (text !== undefined) return text.split('\n').filter(Boolean).map(Number)
    }
    return []
  }
}

/** A line of `/proc/PID/cgroup` → the paths at which that group may be mounted. */
function pathsOf(line: string): string[] {
  const [, , controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? []
  // Groups above the root of our own cgroup namespace cannot be reached.
  if (controllers === undefined || path === undefined || path.startsWith('/..')) return []
  return controllers === ''
    ? [`/sys/fs/cgroup${path}`, `/sys/fs/cgroup/unified${path}`]
    : [`/sys/fs/cgroup/${controllers.replace(/^name=/, '')}${path}`]
}
