import type { StatusReport } from '../control/status.ts'
import { FAMILIES, type Family } from '../net/types.ts'

/** What the first line of `status` depends on. */
export interface HeadlineFacts {
  readonly daemon: StatusReport['daemon']
  /** The families in which the kernel's chains lead to our rules. */
  readonly rules: readonly Family[]
  readonly backstop: boolean
  /** `earlier`: the file is refused, and one was accepted before; `none`: none ever was. */
  readonly config: 'accepted' | 'earlier' | 'none'
  /** There are networks, and by the config none of them is guarded. */
  readonly guardsNone: boolean
  /** The worst first. */
  readonly problems: readonly string[]
}

/** The worst problem of this host and what to do about it, in one line. */
export function headlineOf(facts: HeadlineFacts): string {
  const { daemon, problems, rules, backstop, guardsNone } = facts
  if (daemon === 'running') {
    if (problems.length === 0) return guardsNone ? GUARDS_NONE : 'healthy'
    const isOpen = rules.length === 0 && !backstop
    const [worst, ...others] = problems
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`
    return `${isOpen ? 'NOTHING IS KNOWN TO BE ENFORCED' : 'degraded'}: ${worst}${more}`
  }
  const isSo = guardsNone && (rules.length > 0 || backstop) ? [GUARDS_NONE] : standing(facts)
  return `${[...isSo, ...silence(facts)].join('; ')}; ${remedy(facts)}`
}

const GUARDS_NONE = 'NO NETWORK IS GUARDED: containers reach anything, as guard.networks and guard.except say'

/** What the kernel does with packets of containers. */
function standing({ daemon, rules, backstop }: HeadlineFacts): string[] {
  const missing = FAMILIES.filter((family) => !rules.includes(family))
  const [only] = missing
  if (missing.length === FAMILIES.length)
    return backstop
      ? ['CLOSED: containers get nothing new out, since the backstop stands and no rules approve anything']
      : ['NOTHING IS ENFORCED: containers reach anything']
  if (only !== undefined)
    return backstop
      ? [`CLOSED FOR IPv${only}: containers get nothing new out by it, since its rules are not in the path`]
      : [`IPv${only} IS NOT ENFORCED: containers reach anything by it`]
  const word = daemon === 'not-running' ? 'NOT RUNNING' : 'NOT ANSWERING'
  const alone = backstop ? [] : ['the backstop is missing: the rules stand alone']
  return [`${word}: the rules that were written last are enforced`, ...alone]
}

function silence({ daemon, rules, backstop }: HeadlineFacts): string[] {
  if (daemon === 'not-answering') return ['the daemon hangs']
  return rules.length > 0 || backstop ? ['nothing is looked up or repaired'] : []
}

function remedy({ daemon, config }: HeadlineFacts): string {
  if (daemon === 'not-answering') return 'start it anew with `systemctl restart embargod`'
  const start = 'start it with `systemctl start embargod`'
  switch (config) {
    case 'accepted':
      return start
    case 'earlier':
      return `${start}, which enforces the config accepted last: the file is refused, and \`embargod check\` says why`
    case 'none':
      return `the config is refused: \`embargod check\` says why; then ${start}`
    default:
      return config satisfies never
  }
}
