import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { run, type RunOptions, type RunResult } from '../../src/system/exec.ts'
import type { Argv, Service } from './box.ts'
import { programArgv } from './embargod.ts'
import { CACHE } from './engines.ts'
import { importImage } from './image.ts'
import type { Lab } from './lab.ts'
import { cgroupOf } from './leftovers.ts'
import { INET } from './topology.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BOOT = fileURLToPath(new URL('systemd-boot.sh', import.meta.url))

/** What a Debian host with embargod has, and nothing that would take time to start. */
const PACKAGES = 'systemd,systemd-sysv,dbus,iproute2,iptables,ipset,nftables,conntrack,procps,kmod'

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

/**
 * A real systemd as first process, in the network of a lab's host, with the units of this repository and the program under
 * test at their places. The engine runs beside it; its files are at /var/lib/docker and its socket at /run/docker.sock.
 */
export class SystemdHost {
  private machine: Service | undefined
  private boots = 0

  constructor(private readonly lab: Lab) {}

  /** Writes a file before the next boot. */
  async install(path: string, content: string, mode = 0o644): Promise<void> {
    const file = join(this.upper, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content, { mode })
  }

  /** What a package would install; nothing is enabled. */
  async installEmbargod(): Promise<void> {
    for (const unit of ['embargod.service', 'embargod-early.service'])
      await this.install(
        `usr/lib/systemd/system/${unit}`,
        await readFile(join(ROOT, 'systemd', unit), 'utf8'),
      )
    await mkdir(join(this.upper, 'usr/bin'), { recursive: true })
    await copyFile(bundle(), join(this.upper, 'usr/bin/embargod'))
    await run(['chmod', '0755', join(this.upper, 'usr/bin/embargod')])
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
      ['sh', BOOT, tree, join(this.lab.directory, 'systemd'), cgroup, process.execPath, this.lab.directory],
      join(this.lab.directory, `systemd-${this.boots}.log`),
    )
    let state = ''
    for (let tries = 0; tries < 300 && this.machine.exitCode === undefined; tries += 1) {
      state = await this.run(['systemctl', 'is-system-running'], { okExitCodes: [1, 3, 4] })
        .then(({ stdout }) => stdout.trim())
        .catch((error: unknown) => String(error))
      if (state === 'running' || state === 'degraded') return
      await sleep(100)
    }
    throw new Error(`systemd did not start: ${state}\n${this.machine.log.slice(-3000)}`)
  }

  /** As pulling the plug: nothing is told, and the kernel's rules are gone with the kernel. Files stay. */
  async powerOff(): Promise<void> {
    const pid = this.pid
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    await this.machine?.ended
    this.machine = undefined
    await this.lab.host(['nft', 'flush', 'ruleset'])
    await this.lab.host(['ipset', 'destroy'])
    await this.lab.host(['conntrack', '-F'], { okExitCodes: [1] })
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

  private async furnish(): Promise<void> {
    await this.install('etc/resolv.conf', `nameserver ${INET.dns}\noptions timeout:1 attempts:2\n`)
    await mkdir(join(this.upper, 'etc/systemd/system'), { recursive: true })
    for (const unit of MASKED)
      await symlink('/dev/null', join(this.upper, 'etc/systemd/system', unit)).catch(() => undefined)
  }
}

/** One file that Node runs alone; the sources need more than a host has. */
export function bundle(): string {
  const program = programArgv().at(-1) ?? ''
  if (!program.endsWith('.cjs')) throw new Error('dist/embargod.cjs is older than the sources: npm run build')
  return program
}

/** A tree of the machine's own Debian, so that the machine's Node runs in it. Made once. */
export async function hostTree(): Promise<string> {
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm'
  const tree = join(CACHE, `systemd-host-${suite}`)
  if (existsSync(tree)) return tree
  await mkdir(CACHE, { recursive: true })
  const making = `${tree}.${process.pid}`
  try {
    await run(
      [
        'debootstrap',
        '--variant=minbase',
        `--include=${PACKAGES}`,
        suite,
        making,
        'http://deb.debian.org/debian',
      ],
      { timeoutMs: 900_000 },
    )
    await run(['sh', '-c', 'rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*', 'sh', making])
    await rename(making, tree)
  } finally {
    await rm(making, { recursive: true, force: true })
  }
  return tree
}
