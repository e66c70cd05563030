import type { Problem } from './model.ts'
import type { ConfigOutput } from './schema.ts'
import type { Path } from './tree.ts'

interface PolicyFinding extends Pick<Problem, 'severity' | 'message'> {
  readonly path: Path
  /** The key at the end of the path is meant, and not its value. */
  readonly isKey: boolean
}

const NAME = /^[a-z0-9-]{1,16}$/
/** Names that metrics and rules use for other things than policies of the config. */
const TAKEN = new Set(['common', 'host'])
/** So many combinations of rights can be told apart; a single policy is one of them. */
const MOST_POLICIES = 500

/** What is wrong with or odd about policies whose values are all well-formed. */
export function* judgePolicies({ policies, guard }: ConfigOutput): Generator<PolicyFinding> {
  const names = Object.keys(policies)
  if (names.length > MOST_POLICIES)
    yield at(['policies'], `${names.length} policies: at most ${MOST_POLICIES} can be told apart`)
  for (const [name, policy] of Object.entries(policies)) {
    const path = ['policies', name]
    if (!NAME.test(name))
      yield { ...at(path, `"${name}" is no policy name: a-z, 0-9 and -, at most 16 of them`), isKey: true }
    else if (TAKEN.has(name))
      yield { ...at(path, `the name ${name} is taken: choose another for this policy`), isKey: true }
    const matched = [policy.match ?? []].flat().length > 0
    if (!matched && !policy.attachable)
      yield warning(path, `policy ${name} matches nobody: it has neither match nor attachable: true`)
    if (policy.attachable && guard.labels === 'ignore')
      yield warning(
        [...path, 'attachable'],
        `policy ${name} is attachable, but guard.labels is ignore: no label attaches it`,
      )
    if (policy.metadata === 'allow')
      yield warning(
        [...path, 'metadata'],
        `policy ${name} opens instance metadata: its containers can read the credentials of this machine`,
      )
    if (policy.smtp?.destinations === 'any')
      yield warning(
        [...path, 'smtp', 'destinations'],
        `policy ${name} lets mail go to anyone, within the rate: data can leave by mail`,
      )
  }
}

const at = (path: Path, message: string): PolicyFinding => ({
  path,
  isKey: false,
  severity: 'error',
  message,
})
const warning = (path: Path, message: string): PolicyFinding => ({
  ...at(path, message),
  severity: 'warning',
})
