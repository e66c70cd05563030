import type { Config, SmtpConfig } from '../config/model.ts'
import type { SourceRights } from '../dataplane/revoke.ts'
import type { Address } from '../net/types.ts'
import { classesByAddress, type Assignment } from '../policy/classes.ts'
import { COMMON } from '../policy/compile.ts'

/**
 * The rights of the container that has an address. Containers on the host's network share the host's addresses: a flow from there could be of any
 * of them, so it counts as allowed when one of them may have it.
 */
export function rightsByAddress(
  { smtp }: Pick<Config, 'smtp'>,
  assignment: Assignment | undefined,
  hostAddresses: ReadonlySet<Address>,
): (source: Address) => SourceRights {
  const common: SourceRights = { policies: [COMMON], metadata: false, smtpAnywhere: anywhere(smtp) }
  if (!assignment) return () => common
  const unknown = assignment.unknown === 'deny' ? NOTHING : common
  const byId = new Map(
    assignment.classes.map(({ id, policies, metadata, smtp: own }): [number, SourceRights] => [
      id,
      { policies, metadata, smtpAnywhere: anywhere(own) },
    ]),
  )
  const numbers = classesByAddress(assignment)
  const all = [unknown, ...byId.values()]
  const anybody: SourceRights = {
    policies: [...new Set(all.flatMap(({ policies }) => policies))],
    metadata: all.some(({ metadata }) => metadata),
    smtpAnywhere: all.flatMap(({ smtpAnywhere }) => smtpAnywhere),
  }
  return (source) => (hostAddresses.has(source) ? anybody : (byId.get(numbers.get(source) ?? 0) ?? unknown))
}

const NOTHING: SourceRights = { policies: [], metadata: false, smtpAnywhere: [] }

const anywhere = (smtp: SmtpConfig | undefined): readonly number[] =>
  smtp?.destinations === 'any' ? smtp.ports : []
