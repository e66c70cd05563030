import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RunResult } from '../../../src/system/exec.ts'
import type { Service } from '../box.ts'
import type { DnsScript } from '../dns-script.ts'
import { programArgv } from '../embargod.ts'
import type { Lab } from '../lab.ts'

const EXAMPLE = fileURLToPath(new URL('../../../deploy/embargod.example.yaml', import.meta.url))

/** What the little internet answers for the names of the example config, and for some more. */
export const NAMES = {
  'api.stripe.com': { a: ['203.0.113.30'], aaaa: ['2001:db8:f::30'] },
  'api.github.com': { a: ['203.0.113.29'], aaaa: ['2001:db8:f::29'] },
  'mirror.example.net': { a: ['203.0.113.31'], ttl: 1 },
  // Allowed, and it lies: it points at the cloud's metadata service.
  'updates.example.net': { a: ['169.254.169.254'], aaaa: ['fd00:ec2::254'] },
  'db.corp.example': { a: ['10.77.0.1'] },
  'mail.example': { a: ['203.0.113.25'] },
  'partner.example': { a: ['203.0.113.40'] },
  'cdn.example': { a: ['203.0.113.50'] },
  'api.adyen.com': { a: ['203.0.113.51'] },
} as const satisfies Record<string, DnsScript>

/** Without the example's minutes: nobody wants to watch an address age for a quarter of an hour. */
const SHORTER: readonly (readonly [was: string, is: string])[] = [
  ['refresh: { min: 30s, max: 5m }', 'refresh: { min: 1s, max: 2s }'],
  ['retain: 10m', 'retain: 2s'],
]

/** A Docker host on which embargod is installed the way an operator does it: program, config and state in their usual places. */
export class GuardedHost {
  private service: Service | undefined

  private constructor(private readonly lab: Lab) {}

  static async install(lab: Lab): Promise<GuardedHost> {
    const host = new GuardedHost(lab)
    await lab.inet.dns(NAMES)
    await host.putProgram()
    await lab.host(['mkdir', '-p', '/etc/embargod/conf.d'])
    await lab.writeHostFile('/etc/embargod/embargod.yaml', await shortenedExample())
    await host.allow('mail', 'mail.example:25')
    return host
  }

  /** A file of its own in conf.d: what it lists is added. */
  async allow(file: string, entry: string): Promise<void> {
    await this.addConfig(file, `allow: ["${entry}"]\n`)
  }

  async addConfig(file: string, yaml: string): Promise<void> {
    await this.lab.writeHostFile(`/etc/embargod/conf.d/${file}.yaml`, yaml)
  }

  async disallow(file: string): Promise<void> {
    await this.lab.host(['rm', `/etc/embargod/conf.d/${file}.yaml`])
  }

  /** Starts the daemon; returns when it says that the policy is in the kernel. */
  async start(): Promise<void> {
    const service = this.lab.service('host', ['embargod', 'run'])
    this.service = service
    await this.lab.waitFor(
      'embargod is healthy',
      async () => {
        if (service.exitCode !== undefined)
          throw new Error(`embargod ended with ${service.exitCode}: ${service.log.slice(-300)}`)
        return (await this.embargod('status')).exitCode === 0
      },
      30_000,
    )
  }

  embargod(...args: readonly string[]): Promise<RunResult> {
    return this.lab.host(['embargod', ...args], { okExitCodes: ANY_EXIT_CODE, timeoutMs: 30_000 })
  }

  /** What the daemon logged so far. */
  get log(): string {
    return this.service?.log ?? ''
  }

  /** Lays `embargod` over /usr/local/bin, for this host alone. */
  private async putProgram(): Promise<void> {
    const [upper, work] = [join(this.lab.directory, 'programs'), join(this.lab.directory, 'programs-work')]
    await Promise.all([mkdir(upper), mkdir(work)])
    const argv = [...programArgv()]
    const bundle = argv.at(-1)
    if (bundle?.endsWith('.cjs')) {
      // A copy: a box that is kept must not change with the next build.
      argv[argv.length - 1] = join(this.lab.directory, 'embargod.cjs')
      await copyFile(bundle, join(this.lab.directory, 'embargod.cjs'))
      await copyFile(join(dirname(bundle), 'koffi.node'), join(this.lab.directory, 'koffi.node'))
    }
    const script = `#!/bin/sh\nexec ${argv.map((word) => `'${word}'`).join(' ')} "$@"\n`
    await writeFile(join(upper, 'embargod'), script, { mode: 0o755 })
    const layers = `lowerdir=${PROGRAMS},upperdir=${upper},workdir=${work}`
    await this.lab.host(['mount', '-t', 'overlay', 'overlay', '-o', layers, PROGRAMS])
  }
}

const PROGRAMS = '/usr/local/bin'
const ANY_EXIT_CODE = [1, 2, 3, 4, 5, 6, 7, 64]

async function shortenedExample(): Promise<string> {
  let text = await readFile(EXAMPLE, 'utf8')
  for (const [was, is] of SHORTER) {
    if (!text.includes(was)) throw new Error(`the example config no longer says "${was}"`)
    text = text.replace(was, is)
  }
  return text
}
