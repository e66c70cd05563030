import { access, chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab } from './lab.ts'

/** What becomes of one call of a tool. */
export type Fault =
  /** It says no. */
  | 'exit1'
  /** It says what iptables says when the kernel is busy. */
  | 'exit4'
  /** It says that there is no memory for it. */
  | 'enospc'
  /** It never ends: a script that waits for a child which waits for ever. */
  | 'hang'
  /** A reader prints half of its answer and ends well; a writer does half of its work and fails. */
  | 'half'
  /** A reader prints nothing and ends well. */
  | 'empty'
  /** It is killed before it did anything. */
  | 'killed'
  /** It is killed when its work is done, but nobody has heard so. */
  | 'killedAfter'

export const FAULTS = ['exit1', 'exit4', 'enospc', 'half', 'empty', 'killed', 'killedAfter', 'hang'] as const
FAULTS satisfies readonly Fault[]

/** One call of a pass: `iptables-nft-restore-filter.2` is the second call that writes the filter table. */
export type Call = string

const TOOLS = [
  'ipset',
  'iptables-nft-save',
  'iptables-nft-restore',
  'ip6tables-nft-save',
  'ip6tables-nft-restore',
  'nft',
  'conntrack',
  'ip',
]

/** The faults that a call can meet, the costly one last. */
export const faultsOf = (call: Call): readonly Fault[] =>
  FAULTS.filter((fault) => isWriter(call) || fault !== 'killedAfter').filter(
    (fault) => !isWriter(call) || fault !== 'empty',
  )

const isWriter = (call: Call): boolean => /restore|nft--f|conntrack--D/.test(call)

/** The kernel's tools with somebody in front of each, who counts the calls by what they do and can spoil one. */
export class FaultTools {
  #round = 0

  private constructor(private readonly directory: string) {}

  static async install(lab: Lab): Promise<FaultTools> {
    const tools = new FaultTools(join(lab.directory, 'fault-tools'))
    await mkdir(join(tools.directory, 'bin'), { recursive: true })
    for (const tool of TOOLS) {
      const real = (await lab.host(['sh', '-c', `command -v ${tool}`])).stdout.trim()
      const file = join(tools.directory, 'bin', tool)
      await writeFile(file, shim(tools.directory, tool, real))
      await chmod(file, 0o755)
    }
    await tools.forget()
    return tools
  }

  /** For the environment of the program under test. */
  get env(): { readonly PATH: string } {
    return { PATH: `${join(this.directory, 'bin')}:${process.env['PATH']}` }
  }

  /** Begins to count anew; no fault is left. */
  async forget(): Promise<void> {
    for (const name of ['fault', 'played']) await rm(join(this.directory, name), { force: true })
    // Another folder: a call may be counting itself in the old one.
    this.#round += 1
    await mkdir(this.#calls)
    await writeFile(join(this.directory, 'round'), `${this.#calls}\n`)
  }

  /** That call, counted from now, meets the fault, and no other does. */
  async spoil(call: Call, fault: Fault): Promise<void> {
    await this.forget()
    await writeFile(join(this.directory, 'fault'), `${call} ${fault}\n`)
  }

  async wasPlayed(): Promise<boolean> {
    return access(join(this.directory, 'played')).then(
      () => true,
      () => false,
    )
  }

  /** Since it began to count. */
  async calls(): Promise<readonly Call[]> {
    return (await readdir(this.#calls)).toSorted()
  }

  get #calls(): string {
    return join(this.directory, `calls-${this.#round}`)
  }
}

/** Long-lived ones are not counted. The number of a call is the first name that is free, so calls side by side get one each. */
const shim = (directory: string, tool: string, real: string): string => `#!/bin/sh
case "$*" in
  *monitor*|-i*|-V|--version) exec ${real} "$@" ;;
esac
input=$(mktemp "${directory}/input.XXXXXX")
trap 'rm -f "$input"' EXIT
cat >"$input"
read -r what rest <"$input"
case "${tool} $1" in
  'ipset -') name=ipset-$what ;;
  ipset*) name=ipset-restore ;;
  *-restore*) name=${tool}-\${what#?} ;;
  *-save*) name=${tool} ;;
  conntrack*) name=${tool}-$1-$3 ;;
  *) name=${tool}-$1 ;;
esac
number=1
read -r calls <${directory}/round
while ! mkdir "$calls/$name.$number" 2>/dev/null; do number=$((number + 1)); done
call= fault=
[ -f ${directory}/fault ] && read -r call fault <${directory}/fault
if [ "$call" != "$name.$number" ]; then
  ${real} "$@" <"$input"
  exit $?
fi
touch ${directory}/played
case "$fault:$name" in
  exit1:*) echo "${tool}: Operation not permitted (as the test wished)" >&2; exit 1 ;;
  exit4:*) echo "${tool}: Resource temporarily unavailable (as the test wished)" >&2; exit 4 ;;
  enospc:*) echo "${tool}: No space left on device (as the test wished)" >&2; exit 1 ;;
  hang:*) sleep 1000; exit 0 ;;
  half:*restore*|half:nft--f)
    head -c $(($(wc -c <"$input") / 2)) "$input" | sed '$d' | ${real} "$@"
    echo "${tool}: broke off (as the test wished)" >&2
    exit 1 ;;
  half:conntrack--D*) exit 1 ;;
  half:*)
    ${real} "$@" <"$input" >"$input.out"
    head -c $(($(wc -c <"$input.out") / 2)) "$input.out"
    rm -f "$input.out"
    exit 0 ;;
  empty:*) exit 0 ;;
  killedAfter:*) ${real} "$@" <"$input" >/dev/null 2>&1 ;;
esac
rm -f "$input"
kill -9 $$
`
