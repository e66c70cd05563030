import type { Question } from '../dns/question.ts'
import type { Asker } from './model.ts'
import type { Query } from './query.ts'
import { TYPE } from '../dns/codes.ts'

/** What programs ask for. Which type somebody asks for tells his upstream something: of 65,536 types a question would carry two bytes out. */
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
/** A host behind a service is looked up, and no more: its name is the choice of whoever owns the service's. */
const LEARNED: ReadonlySet<number> = new Set([TYPE.A, TYPE.AAAA])

/** May this type be asked for under a name that is allowed? Who may ask for any name can say all he likes in names. */
export const isAskable = (type: number, { anyName }: Asker, isLearned: boolean): boolean =>
  type !== TYPE.ANY && (anyName || (isLearned ? LEARNED : LISTED).has(type))

/** The flags that ask for signatures are bits that a container chooses: they go on only for who may ask for any name, and could check them. */
export function forwardedOf({ name, type, edns, checkingDisabled }: Query, { anyName }: Asker): Question {
  return anyName
    ? { name, type, checkingDisabled, dnssecOk: edns?.dnssecOk ?? false }
    : { name, type, checkingDisabled: false, dnssecOk: false }
}
