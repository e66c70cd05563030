import type { Question } from '../dns/question.ts'
import type { Asker } from './model.ts'
import type { Query } from './query.ts'
import { TYPE } from '../dns/codes.ts'

/** The types that programs ask for. A free choice among 65,536 types would let a container send two bytes out with each question. */
const LISTED: ReadonlySet<number> = new Set([
  TYPE.A,
  TYPE.AAAA,
  TYPE.CNAME,
  TYPE.HTTPS,
  TYPE.SVCB,
  TYPE.SRV,
  TYPE.MX,
  TYPE.TXT,
  TYPE.NS,
  TYPE.SOA,
  TYPE.PTR,
  TYPE.CAA,
  TYPE.NAPTR,
])
/** Of a host behind a service only the addresses are asked for: the owner of the service's name chooses the host's name. */
const LEARNED: ReadonlySet<number> = new Set([TYPE.A, TYPE.AAAA])

/** May this type be asked for under a name that is allowed? A container that may ask for any name can send out what it likes in names anyway. */
export const isAskable = (type: number, { anyName }: Asker, isLearned: boolean): boolean =>
  type !== TYPE.ANY && (anyName || (isLearned ? LEARNED : LISTED).has(type))

/** What goes to an upstream. The flags that ask for signatures are bits that a container chooses, so they go on only where it may ask for any name. */
export function forwardedOf({ name, type, edns, checkingDisabled }: Query, { anyName }: Asker): Question {
  return anyName
    ? { name, type, checkingDisabled, dnssecOk: edns?.dnssecOk ?? false }
    : { name, type, checkingDisabled: false, dnssecOk: false }
}
