import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Docker from 'dockerode'
import { run, type RunOptions, type RunResult } from '../../src/system/exec.ts'
import type { Argv, Service } from './box.ts'
import { programArgv } from './embargod.ts'
import { engineBinaries } from './engines.ts'
import { importImage } from './image.ts'
import type { Lab } from './lab.ts'
import { cgroupOf } from './leftovers.ts'
import { ENGINE_UNITS, hostTree } from './systemd-tree.ts'
import { INET } from './topology.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BOOT = fileURLToPath(new URL('systemd-boot.sh', import.meta.url))

/** Units that would write to the machine's kernel, or that only take time. */
const MASKED = [
  'systemd-sysctl.service',
  'systemd-udevd.service',
  'systemd-udev-trigger.service',
  'systemd-modules-load.service',
  'systemd-binfmt.service',
  'systemd-random-seed.service',
  'systemd-timesyncd.service',
  'systemd-logind.service',
  'getty.target',
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'fstrim.timer',
]

export interface SystemdHostOptions {
  /**
   * `beside` (default): the lab's engine, whose files are at /var/lib/docker and whose socket is at /run/docker.sock; Node is
   * there. `inside`: Debian's own units start the engine, at each boot, and the host has no Node.
   */
  readonly engine?: 'beside' | 'inside'
}

/** A real systemd as first process, in the network of a lab's host. */
export class SystemdHost {
  private machine: Service | undefined
  private boots = 0

  /** The engine inside, as long as the host is up. */
  readonly docker: Docker

  constructor(
    private readonly lab: Lab,
    private readonly options: SystemdHostOptions = {},
  ) {
    this.docker = new Docker({ socketPath: this.dockerSocket })
  }

  /** Writes a file before the next boot. */
  async install(path: string, content: string, mode = 0o644): Promise<void> {
    const file = join(this.upper, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content, { mode })
  }

  /** The units of this repository and the program under test, at their places; nothing is enabled. */
  async installEmbargod(): Promise<void> {
    for (const unit of [
      'embargod.service',
      'embargod-early.service',
      'embargod-saved-sets.service',
      'embargod-dns.socket',
      'embargod-dns.service',
    ])
      await this.install(
        `usr/lib/systemd/system/${unit}`,
        await readFile(join(ROOT, 'systemd', unit), 'utf8'),
      )
    await mkdir(join(this.upper, 'usr/bin'), { recursive: true })
    await copyFile(bundle(), join(this.upper, 'usr/bin/embargod'))
    await run(['chmod', '0755', join(this.upper, 'usr/bin/embargod')])
    await mkdir(join(this.upper, 'usr/lib/embargod'), { recursive: true })
    await copyFile(join(dirname(bundle()), 'koffi.node'), join(this.upper, 'usr/lib/embargod/koffi.node'))
  }

  /** Lays out what an unpacked package holds, in front of what the host has. */
  async installTree(tree: string): Promise<void> {
    await mkdir(this.upper, { recursive: true })
    // Debian's own links lead from `lib` and `sbin` into `usr`.
    const place = async (from: string, to: string): Promise<void> => {
      if (!existsSync(join(tree, from))) return
      await mkdir(join(this.upper, to), { recursive: true })
      await run(['cp', '-a', `${join(tree, from)}/.`, join(this.upper, to)])
    }
    for (const folder of ['etc', 'usr', 'var']) await place(folder, folder)
    for (const folder of ['lib', 'sbin', 'bin']) await place(folder, `usr/${folder}`)
  }

  /** For a host whose engine is its own and that runs the program under test all the same. */
  async installNode(): Promise<void> {
    await mkdir(join(this.upper, 'usr/bin'), { recursive: true })
    await copyFile(process.execPath, join(this.upper, 'usr/bin/node'))
  }

  /** Starts the engine with its usual place for data, which both see. */
  async startEngine(): Promise<void> {
    const data = join(this.lab.directory, 'data')
    await mkdir(data, { recursive: true })
    const { stdout } = await this.lab.host(['mount'])
    if (!stdout.includes(' on /var/lib/docker '))
      await this.lab.host(['mount', '--bind', data, '/var/lib/docker'])
    await this.lab.engine.start(['--data-root=/var/lib/docker'])
    await importImage(this.lab.docker)
  }

  /** Returns when systemd says that it has started what there is to start. */
  async boot(): Promise<void> {
    const tree = await hostTree()
    this.boots += 1
    if (this.boots === 1) await this.furnish()
    const cgroup = `${cgroupOf(this.lab.name)}/systemd-${this.boots}`
    this.machine = this.lab.hostBox.start(
      [
        'sh',
        BOOT,
        tree,
        join(this.lab.directory, 'systemd'),
        cgroup,
        this.inside ? 'none' : process.execPath,
        this.lab.directory,
      ],
      join(this.lab.directory, `systemd-${this.boots}.log`),
    )
    let state = ''
    for (let tries = 0; tries < 900 && this.machine.exitCode === undefined; tries += 1) {
      state = await this.run(['systemctl', 'is-system-running'], { okExitCodes: [1, 3, 4] })
        .then(({ stdout }) => stdout.trim())
        .catch((error: unknown) => String(error))
      if (state === 'running' || state === 'degraded') return this.linkSocket()
      await sleep(100)
    }
    throw new Error(`systemd did not start: ${state}\n${this.machine.log.slice(-3000)}`)
  }

  /** As pulling the plug: nothing is told, and the kernel's rules are gone with the kernel. Files stay. */
  async powerOff(): Promise<void> {
    const pid = this.pid
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    await this.forgetKernel()
  }

  /** As `systemctl poweroff`: units are stopped in their order. Files stay, the kernel's rules do not. */
  async shutDown(): Promise<void> {
    await this.run(['systemctl', '--no-block', 'poweroff'])
    await this.forgetKernel()
  }

  /** Runs a program in the systemd host; rejects with `ToolError` for any other exit code than 0 and `okExitCodes`. */
  async run(argv: Argv, options: RunOptions = {}): Promise<RunResult> {
    const { pid } = this
    if (pid === undefined) throw new Error('the systemd host does not run')
    return run(['nsenter', `--target=${pid}`, '--all', '--', ...argv], options)
  }

  /** A property of a unit, as `systemctl show` prints it. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.run(['systemctl', 'show', unit, `--property=${property}`, '--value'])).stdout.trim()
  }

  /** What a person reads: state, status text and the last lines of the log. */
  async status(unit: string): Promise<string> {
    const argv: Argv = ['systemctl', 'status', '--no-pager', '--full', '--lines=40', unit]
    return (await this.run(argv, { okExitCodes: [1, 2, 3, 4] })).stdout
  }

  async journal(unit: string): Promise<string> {
    return (await this.run(['journalctl', '--no-pager', '--output=cat', `--unit=${unit}`])).stdout
  }

  /** Writes a file of the running host. */
  async write(path: string, content: string, mode = '0644'): Promise<void> {
    await this.run(['mkdir', '-p', dirname(path)])
    await this.run(['dd', `of=${path}`, 'status=none'], { input: content })
    await this.run(['chmod', mode, path])
  }

  /** The first process as the machine sees it: the only child of `unshare`. */
  private get pid(): number | undefined {
    const unshare = this.machine?.pid
    if (unshare === undefined) return undefined
    try {
      const children = readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8').trim()
      return children === '' ? undefined : Number(children.split(' ')[0])
    } catch {
      return undefined
    }
  }

  private get upper(): string {
    return join(this.lab.directory, 'systemd/upper')
  }

  private get dockerSocket(): string {
    return join(this.lab.directory, 'inside.sock')
  }

  private get inside(): boolean {
    return this.options.engine === 'inside'
  }

  /** What ends with a kernel, once nothing runs on it: the network namespace is the lab's, and stays. */
  private async forgetKernel(): Promise<void> {
    await this.machine?.ended
    this.machine = undefined
    const script = `
      nft flush ruleset
      for flavour in iptables ip6tables; do
        for table in $(cat /proc/net/\${flavour%tables}_tables_names 2>/dev/null); do
          for chain in PREROUTING INPUT FORWARD OUTPUT POSTROUTING; do
            $flavour-legacy -t $table -P $chain ACCEPT 2>/dev/null || true
          done
          $flavour-legacy -t $table -F; $flavour-legacy -t $table -X
        done
      done
      ipset destroy
      conntrack -F 2>/dev/null || true`
    await this.lab.host(['sh', '-ec', script])
    if (!this.inside) return
    const { stdout } = await this.lab.host(['ip', '-oneline', 'link', 'show', 'type', 'bridge'])
    for (const [, name = ''] of stdout.matchAll(/^\d+: ([^:@]+)/gm))
      await this.lab.host(['ip', 'link', 'delete', name])
  }

  /** Each boot has a /run of its own. */
  private async linkSocket(): Promise<void> {
    await rm(this.dockerSocket, { force: true })
    await symlink(`/proc/${this.pid}/root/run/docker.sock`, this.dockerSocket)
  }

  private async furnish(): Promise<void> {
    if (this.inside) await this.furnishEngine()
    await this.install('etc/resolv.conf', `nameserver ${INET.dns}\noptions timeout:1 attempts:2\n`)
    await mkdir(join(this.upper, 'etc/systemd/system'), { recursive: true })
    for (const unit of MASKED)
      await symlink('/dev/null', join(this.upper, 'etc/systemd/system', unit)).catch(() => undefined)
  }

  private async furnishEngine(): Promise<void> {
    await mkdir(join(this.lab.directory, 'data'), { recursive: true })
    const settings = { dns: [INET.dns], ipv6: true, 'fixed-cidr-v6': '2001:db8:c:0::/64' }
    await this.install('etc/docker/daemon.json', JSON.stringify(settings))
    for (const [unit, target] of Object.entries(ENGINE_UNITS)) {
      const wants = join(this.upper, `etc/systemd/system/${target}.wants`)
      await mkdir(wants, { recursive: true })
      await symlink(`/usr/lib/systemd/system/${unit}`, join(wants, unit))
    }
    const binaries = await engineBinaries(this.lab.engineVersion)
    if (binaries === undefined) return
    for (const name of await readdir(binaries)) {
      const folder = join(this.upper, PROGRAM_FOLDER[name] ?? 'usr/bin')
      await mkdir(folder, { recursive: true })
      await copyFile(join(binaries, name), join(folder, name))
    }
  }
}

/** Where Debian has an engine's programs, if not in `usr/bin`. */
const PROGRAM_FOLDER: Readonly<Record<string, string>> = { dockerd: 'usr/sbin', 'docker-proxy': 'usr/sbin' }

/** One file that Node runs alone; the sources need more than a host has. */
export function bundle(): string {
  const program = programArgv().at(-1) ?? ''
  if (!program.endsWith('.cjs')) throw new Error('dist/embargod.cjs is older than the sources: npm run build')
  return program
}
