import { copyFile, mkdir } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Argv } from './box.ts'
import type { Lab } from './lab.ts'
import { cgroupOf } from './leftovers.ts'

/** Not every release that the tests run on has it. */
export const hasPodman = existsSync('/usr/bin/podman') && existsSync('/usr/lib/podman/netavark')

/** Podman beside the engine on a lab's host, on its default bridge `podman0`; containers hold a busybox and nothing else. */
export class Podman {
  /** Of the first process of each container, as the host sees it. */
  private readonly pids = new Map<string, string>()

  private constructor(
    private readonly lab: Lab,
    private readonly directory: string,
  ) {}

  static async install(lab: Lab): Promise<Podman> {
    const directory = join(lab.directory, 'podman')
    await mkdir(join(directory, 'rootfs', 'bin'), { recursive: true })
    await mkdir(join(directory, 'rootfs', 'tmp'), { recursive: true })
    await copyFile('/bin/busybox', join(directory, 'rootfs', 'bin', 'busybox'))
    // Its locks would else lie in the memory file system of the machine.
    await lab.writeHostFile('/etc/containers/containers.conf', '[engine]\nlock_type = "file"\n')
    return new Podman(lab, directory)
  }

  /** Starts a container; the first one brings the bridge, the last one takes it along. */
  async start(name: string): Promise<void> {
    const options = ['--detach', `--name=${name}`, `--cgroup-parent=${cgroupOf(this.lab.name)}`]
    const program = ['--rootfs', join(this.directory, 'rootfs'), '/bin/busybox', 'sleep', '100000']
    await this.run(['run', ...options, '--security-opt=seccomp=unconfined', ...program])
    this.pids.set(name, (await this.run(['inspect', '--format={{.State.Pid}}', name])).trim())
  }

  async remove(name: string): Promise<void> {
    await this.run(['rm', '--force', '--time=0', name])
  }

  /** Does a web server of the little internet answer who speaks in the container's network? */
  async reaches(name: string, address: string, seconds = 1): Promise<boolean> {
    const fetch = ['curl', '-sg', '-o', '/dev/null', '--max-time', String(seconds), `http://${address}/`]
    const { exitCode } = await this.lab.host(
      ['nsenter', `--net=/proc/${this.pids.get(name)}/ns/net`, ...fetch],
      { okExitCodes: [7, 28] },
    )
    return exitCode === 0
  }

  private async run(args: readonly string[]): Promise<string> {
    return (await this.lab.host(this.argv(args), { timeoutMs: 60_000 })).stdout
  }

  private argv(args: readonly string[]): Argv {
    return [
      'podman',
      `--root=${join(this.directory, 'store')}`,
      '--runroot=/run/podman-lab',
      '--storage-driver=vfs',
      '--cgroup-manager=cgroupfs',
      '--runtime=runc',
      '--network-backend=netavark',
      ...args,
    ]
  }
}
