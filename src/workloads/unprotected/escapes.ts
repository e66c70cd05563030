import { canonicalPath, exposes } from '../host-paths.ts'
import type { Container } from '../model.ts'

/** Sockets through which a process can start containers or services of the host. */
export const ENGINE_SOCKETS = [
  '/run/docker.sock',
  '/run/containerd/containerd.sock',
  '/run/docker/containerd/containerd.sock',
  '/run/k3s/containerd/containerd.sock',
  '/run/crio/crio.sock',
  '/run/podman/podman.sock',
  '/run/buildkit/buildkitd.sock',
]
const SERVICE_SOCKETS = ['/run/dbus/system_bus_socket', '/run/systemd/private']

/** Files that the host runs, or that say what it runs. */
const RUN_BY_HOST = [
  '/etc/crontab',
  '/etc/cron.d',
  '/etc/ld.so.preload',
  '/etc/passwd',
  '/etc/systemd/system',
  '/proc/sys/kernel/core_pattern',
  '/root/.ssh',
  '/run/systemd/system',
  '/sys/kernel/uevent_helper',
  '/usr/bin',
  '/usr/lib/systemd/system',
  '/var/spool/cron',
]

const CGROUPS = '/sys/fs/cgroup'

/** How a container that is not privileged can have the host run something for it; undefined: in no known way. */
export function hostRootBy(container: Container): string | undefined {
  const { capAdd, mounts, pidMode } = container
  const has = (...names: readonly string[]): boolean => names.some((name) => capAdd.includes(name))
  if (has('ALL')) return 'it has all capabilities'
  if (has('SYS_MODULE')) return 'it may load kernel modules (SYS_MODULE)'
  if (pidMode === 'host' && has('SYS_ADMIN', 'SYS_PTRACE'))
    return 'it may change processes of the host (pid: host with SYS_ADMIN or SYS_PTRACE)'
  const service = mounts.find(({ source }) => SERVICE_SOCKETS.some((path) => exposes(source, path)))
  if (service) return `its mount of ${shown(service.source)} has the socket of the service manager`
  const run = mounts.find(
    ({ source, readOnly }) => !readOnly && RUN_BY_HOST.some((path) => exposes(source, path)),
  )
  return run && `its mount of ${shown(run.source)} has files that the host runs`
}

/**
 * How a process of the container can move to another control group, or act through a process in one. For the kernel, what is sent from there
 * is the host's own.
 */
export function leavesGroupBy(container: Container): string | undefined {
  const { capAdd, mounts, pidMode, cgroupnsMode, securityOpt, privileged } = container
  if (privileged) return 'it is privileged'
  const sysAdmin = ['SYS_ADMIN', 'ALL'].find((name) => capAdd.includes(name))
  if (sysAdmin !== undefined) return `it may mount the control groups (${sysAdmin})`
  if (pidMode === 'host') return 'it may use sockets of processes of the host (pid: host)'
  const groups = mounts.filter(({ source }) => showsGroups(source))
  const writable = groups.find(({ readOnly }) => !readOnly)
  if (writable) return `its mount of ${shown(writable.source)} has the control groups`
  // A process can be started in any group that can be seen, also in one that is mounted for reading. The engine's own filter of calls forbids it.
  const isFiltered = !securityOpt.some((option) => /^seccomp[=:]/.test(option))
  if (!isFiltered && (groups.length > 0 || cgroupnsMode === 'host'))
    return "it sees the control groups of the host, and the engine's seccomp profile was taken from it"
  return hostRootBy(container)
}

const showsGroups = (source: string): boolean =>
  exposes(source, CGROUPS) || canonicalPath(source).startsWith(`${CGROUPS}/`)

/** Anybody can choose a path, and this one is put into a sentence. */
const shown = (path: string): string => path.slice(0, 48)
