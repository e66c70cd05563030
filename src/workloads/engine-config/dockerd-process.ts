import { canonicalPath } from '../host-paths.ts'

/** The engine's config file by default. */
export const DAEMON_JSON = '/etc/docker/daemon.json'

/** A dockerd of this host, by its command line. */
export interface DockerdProcess {
  readonly pid: number
  /** `--host`, `-H`; none: the engine's default. */
  readonly hosts: readonly string[]
  readonly dns: readonly string[]
  readonly configFile: string | undefined
  /** `--iptables`, `--ip6tables`; undefined: its command line does not say. */
  readonly iptables?: boolean
  readonly ip6tables?: boolean
}

/** A process as /proc shows it. */
export interface ProcessFacts {
  /** Are all its user and group ids root's? */
  readonly isRoots: boolean
  /** /proc/PID/cgroup. */
  readonly cgroup: string
  /** Where /proc/PID/ns/pid points. */
  readonly pidNamespace: string
}

/**
 * The processes that may be an engine. Anybody can start a process called dockerd with a --dns of his choice. So a process counts only when it is
 * root's, in our PID namespace, and in no container's control group (with every driver, the engine puts the container's 64 hex digits into its name).
 */
export const visibleDockerds = <P extends ProcessFacts>(
  processes: readonly P[],
  ours: { readonly cgroup: string; readonly pidNamespace: string },
): P[] =>
  processes
    .filter(({ isRoots }) => isRoots)
    .filter(({ pidNamespace }) => pidNamespace === ours.pidNamespace)
    .filter(({ cgroup }) => containerIdsIn(cgroup).every((id) => ours.cgroup.includes(id)))

/** What tells which process is the engine behind a socket. */
export interface EngineMarks {
  /** The process that listens on the socket. For a socket that systemd made it is systemd. */
  readonly listener: number | undefined
  /** The process in the engine's pid file. */
  readonly inPidFile: number | undefined
}

/** The engine behind the socket; all processes that may be it where that cannot be told. */
export const enginesBehind = (
  dockerds: readonly DockerdProcess[],
  socket: string,
  { listener, inPidFile }: EngineMarks,
): DockerdProcess[] => {
  const listening = dockerds.find(({ pid }) => pid === listener)
  if (listening) return [listening]
  const serving = dockerds.filter((dockerd) => servesSocket(dockerd, socket))
  const named = serving.find(({ pid }) => pid === inPidFile)
  return named ? [named] : serving
}

/** The paths may be the same when this daemon runs in a container that sees the host's processes. */
const containerIdsIn = (cgroup: string): string[] => cgroup.match(/[0-9a-f]{64}/g) ?? []

/** Reads flags as dockerd does: `--dns A`, `--dns=A`, `-H A`, `-HA`, `-H=A`, each any number of times. A switch is `--s` or `--s=false`. */
export const parseDockerdArgv = (argv: readonly string[], pid: number): DockerdProcess => {
  const values = (flag: string, short?: string): string[] =>
    argv.flatMap((argument, index): string[] => {
      if (argument === flag || argument === short)
        return argv[index + 1] === undefined ? [] : [`${argv[index + 1]}`]
      if (argument.startsWith(`${flag}=`)) return [argument.slice(flag.length + 1)]
      if (short !== undefined && argument.startsWith(short))
        return [argument.slice(short.length).replace(/^=/, '')]
      return []
    })
  const isOn = (flag: string): boolean | undefined => {
    const said = argv.findLast((argument) => argument === flag || argument.startsWith(`${flag}=`))
    if (said === undefined) return undefined
    return said === flag || /^(1|t|true)$/i.test(said.slice(flag.length + 1))
  }
  const [iptables, ip6tables] = [isOn('--iptables'), isOn('--ip6tables')]
  return {
    pid,
    hosts: values('--host', '-H'),
    dns: values('--dns'),
    configFile: values('--config-file').at(-1),
    ...(iptables === undefined ? {} : { iptables }),
    ...(ip6tables === undefined ? {} : { ip6tables }),
  }
}

export const configFileOf = ({ configFile }: DockerdProcess): string => configFile ?? DAEMON_JSON

/**
 * The config file to use where none is named: that of the engine behind the default socket, else that of the only engine.
 * @throws Error naming the files where there are several
 */
export const chooseConfigFile = (dockerds: readonly DockerdProcess[]): string => {
  const usual = dockerds.filter((dockerd) => servesSocket(dockerd, DEFAULT_SOCKET))
  const files = [...new Set((usual.length > 0 ? usual : dockerds).map(configFileOf))]
  if (files.length > 1) throw new Error(`several engines run: choose by --file among ${files.join(', ')}`)
  return files[0] ?? DAEMON_JSON
}

const DEFAULT_SOCKET = '/run/docker.sock'

/** `fd://` is the socket that systemd made, at the default path. An engine without `--host` may have hosts in its daemon.json. */
export const servesSocket = (dockerd: DockerdProcess, socket: string): boolean => {
  const paths = dockerd.hosts.flatMap((host) => {
    if (host.startsWith('unix://')) return [canonicalPath(host.slice('unix://'.length) || DEFAULT_SOCKET)]
    return host.startsWith('fd://') ? [DEFAULT_SOCKET] : []
  })
  if (dockerd.hosts.length === 0) paths.push(DEFAULT_SOCKET)
  return paths.includes(canonicalPath(socket))
}
