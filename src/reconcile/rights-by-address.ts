import type { Config, SmtpConfig } from '../config/model.ts'
import type { SourceRights } from '../dataplane/revoke.ts'
import type { Address } from '../net/types.ts'
import { classesByAddress, type Assignment } from '../policy/classes.ts'
import { COMMON } from '../policy/compile.ts'

/** What who has an address may do, as the rules have it. */
export function rightsByAddress(
  { smtp }: Pick<Config, 'smtp'>,
  assignment: Assignment | undefined,
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
  return (source) => byId.get(numbers.get(source) ?? 0) ?? unknown
}

const NOTHING: SourceRights = { policies: [], metadata: false, smtpAnywhere: [] }

const anywhere = (smtp: SmtpConfig | undefined): readonly number[] =>
  smtp?.destinations === 'any' ? smtp.ports : []
