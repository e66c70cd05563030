import { RCODE, typeName } from '../dns/codes.ts'
import type { Address } from '../net/types.ts'
import type { Admitted } from './admit.ts'
import type { Asker, Outcome, QueryReport } from './model.ts'
import type { Request } from './request.ts'
import type { Resolved } from './resolve.ts'

/** What became of a question. */
export const reportOf = (
  { query, asker, source, grants, startedMs }: Request,
  outcome: Outcome,
  waitedForKernel = false,
): QueryReport => ({
  outcome,
  policy: grants[0]?.policy ?? policiesOf(asker),
  type: typeName(query.type),
  name: query.dotted,
  asker: asker.name,
  source,
  durationMs: performance.now() - startedMs,
  waitedForKernel,
})

/** Of a message whose question was not read, or is none. */
export const reportUnread = (
  asker: Asker,
  source: Address,
  startedMs: number,
  outcome: 'limited' | 'malformed',
): QueryReport => ({
  outcome,
  policy: policiesOf(asker),
  type: 'other',
  name: undefined,
  asker: asker.name,
  source,
  durationMs: performance.now() - startedMs,
  waitedForKernel: false,
})

export function outcomeOf({ reply, origin }: Resolved, admitted: Admitted): Outcome {
  if (admitted.kind !== 'admitted') return admitted.kind
  return reply.rcode === RCODE.servFail ? 'failed' : origin
}

const policiesOf = ({ policies }: Asker): string => policies.join('+') || 'none'
