import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab } from './lab.ts'

/** What becomes of a call that writes to the kernel. `killedBefore`, `killedAfter`: who called is killed before or after the write. */
export type Fault = 'exit1' | 'exit4' | 'hang' | 'halfway' | 'killedBefore' | 'killedAfter'

const TOOLS = [
  'ipset',
  'iptables',
  'iptables-nft-save',
  'iptables-nft-restore',
  'ip6tables-nft-save',
  'ip6tables-nft-restore',
  'nft',
  'conntrack',
]

/**
 * The kernel's tools with somebody in front of them, who writes down every call that writes and can make one fail.
 * Set `PATH` to `path` in the daemon's environment.
 */
export class Tools {
  private constructor(readonly directory: string) {}

  static async install(lab: Lab, name: string): Promise<Tools> {
    const tools = new Tools(join(lab.directory, `tools-${name}`))
    await mkdir(tools.directory)
    for (const tool of TOOLS) {
      const real = (await lab.host(['sh', '-c', `command -v ${tool}`])).stdout.trim()
      const file = join(tools.directory, tool)
      await writeFile(file, wrapper(tools.directory, tool, real))
      await chmod(file, 0o755)
    }
    await tools.forget()
    return tools
  }

  get path(): string {
    return `${this.directory}:${process.env['PATH']}`
  }

  /** A PATH in which everything is but what is named. */
  async without(lab: Lab, ...missing: readonly string[]): Promise<string> {
    const directory = join(this.directory, `without-${missing.join('-')}`)
    await mkdir(directory, { recursive: true })
    const { stdout } = await lab.host(['sh', '-c', 'for f in /usr/sbin/* /usr/bin/*; do echo "$f"; done'])
    for (const file of stdout.trim().split('\n')) {
      const name = file.split('/').at(-1) ?? ''
      if (missing.includes(name)) continue
      await symlink(file, join(directory, name)).catch(() => undefined)
    }
    return directory
  }

  /** The calls that wrote, in order, since the last `forget`. */
  async writes(): Promise<readonly string[]> {
    const text = await readFile(join(this.directory, 'writes'), 'utf8')
    return text.split('\n').filter((line) => line !== '')
  }

  /** The n-th write from the last `forget` on, counted from 1, and only that one, meets the fault. */
  async failAt(n: number, fault: Fault): Promise<void> {
    await writeFile(join(this.directory, 'fault'), `${n} ${fault}\n`)
  }

  /** Every write meets it until `forget`. */
  async failAlways(fault: Fault): Promise<void> {
    await writeFile(join(this.directory, 'fault'), `0 ${fault}\n`)
  }

  async forget(): Promise<void> {
    await rm(join(this.directory, 'fault'), { force: true })
    for (const file of ['writes', 'order']) await writeFile(join(this.directory, file), '')
  }
}

const wrapper = (directory: string, tool: string, real: string): string => `#!/bin/sh
case "${tool} $*" in
  *-restore*|ipset*restore*|'nft -f'*|ipset\\ create*|ipset\\ destroy*|'conntrack -D'*) ;;
  *) exec ${real} "$@" ;;
esac
echo "${tool} $*" >>${directory}/writes
echo $$ >>${directory}/order
[ -f ${directory}/fault ] || exec ${real} "$@"
# Its own place: of two at once both may be written down before either counts.
number=$(grep -nx $$ ${directory}/order | head -n 1 | cut -d : -f 1)
read -r at fault <${directory}/fault
[ "$at" = 0 ] || [ "$at" = "$number" ] || exec ${real} "$@"
case "$fault" in
  exit1) cat >/dev/null; echo "as the test wished" >&2; exit 1 ;;
  exit4) cat >/dev/null; echo "as the test wished" >&2; exit 4 ;;
  hang) exec sleep 1000 ;;
  halfway) head -c 300 | sed '$d' | ${real} "$@"; echo "as the test wished" >&2; exit 1 ;;
  killedBefore) kill -9 $PPID ;;
  killedAfter) ${real} "$@"; kill -9 $PPID ;;
esac
`
