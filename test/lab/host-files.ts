import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Box } from './box.ts'
import { INET } from './topology.ts'

/**
 * Gives the host a /run and /sys of its own and writable copies of /etc and /var, so that what runs there with its
 * ordinary paths (a lock in /run, a file in /etc, state in /var/lib) never touches the machine.
 */
export async function privateFiles(host: Box, directory: string): Promise<void> {
  await host.run(['mount', '-t', 'tmpfs', 'tmpfs', '/run'])
  for (const top of ['etc', 'var']) {
    const upper = join(directory, `${top}-upper`)
    const work = join(directory, `${top}-work`)
    await Promise.all([mkdir(upper, { recursive: true }), mkdir(work, { recursive: true })])
    await host.run([
      'mount',
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=/${top},upperdir=${upper},workdir=${work}`,
      `/${top}`,
    ])
  }
  await ownSys(host)
  await host.run(['mkdir', '-p', '/run/lock', '/etc/docker', '/var/lib/docker'])
  await writeHostFile(host, '/etc/resolv.conf', `nameserver ${INET.dns}\noptions timeout:1 attempts:2\n`)
}

/** A /sys that shows the box's network interfaces, with the machine's cgroups in their place. */
async function ownSys(host: Box): Promise<void> {
  await host.run(['mkdir', '/run/cgroup'])
  await host.run(['mount', '--rbind', '/sys/fs/cgroup', '/run/cgroup'])
  await host.run(['mount', '-t', 'sysfs', 'sysfs', '/sys'])
  await host.run(['mount', '--rbind', '/run/cgroup', '/sys/fs/cgroup'])
  await host.run(['umount', '-l', '/run/cgroup'])
}

/** Writes a file as the host sees it. */
export async function writeHostFile(host: Box, path: string, text: string): Promise<void> {
  await host.run(['rm', '-f', path])
  await host.run(['dd', `of=${path}`, 'status=none'], { input: text })
}
