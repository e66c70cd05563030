/** Where the engine puts its containers if nobody says otherwise, on hosts of either tree and with either driver. */
const USUAL = (id: string): readonly string[] => [
  `0::/system.slice/docker-${id}.scope`,
  `0::/docker/${id}`,
  `2:pids:/docker/${id}`,
  `2:pids:/system.slice/docker-${id}.scope`,
]

/** Parents of containers' groups that are kept in mind. */
const MOST_KINDS = 32

/**
 * The processes of containers that the engine has not told yet. It names a container's control group by the container's id and puts its first
 * process there before that runs anything.
 */
export class ControlGroups {
  /** A line of a container's `/proc/PID/cgroup`, by the same without its id. */
  readonly #kinds = new Map<string, (id: string) => string>()

  /** @param readText undefined: there is no such file */
  constructor(private readonly readText: (path: string) => Promise<string | undefined>) {}

  /** Is this the place of a container's process? It is kept in mind for the containers that follow. */
  isPlaceOf(id: string, groups: string): boolean {
    const line = groups.split('\n').find((one) => one.includes(id))
    if (line === undefined) return false
    if (this.#kinds.size >= MOST_KINDS) this.#kinds.clear()
    this.#kinds.set(line.replace(id, ''), (other) => line.replace(id, other))
    return true
  }

  /** None where it cannot be told. */
  async processesOf(id: string): Promise<number[]> {
    const lines = [...Array.from(this.#kinds.values(), (kind) => kind(id)), ...USUAL(id)]
    for (const path of new Set(lines.flatMap(pathsOf))) {
      const text = await this.readText(`${path}/cgroup.procs`)
      if (text !== undefined) return text.split('\n').filter(Boolean).map(Number)
    }
    return []
  }
}

/** A line of `/proc/PID/cgroup` → where that group may be found. */
function pathsOf(line: string): string[] {
  const [, , controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? []
  // Above the root of our own view nothing can be found.
  if (controllers === undefined || path === undefined || path.startsWith('/..')) return []
  return controllers === ''
    ? [`/sys/fs/cgroup${path}`, `/sys/fs/cgroup/unified${path}`]
    : [`/sys/fs/cgroup/${controllers.replace(/^name=/, '')}${path}`]
}
