import { RCODE, TYPE } from '../dns/codes.ts'
import type { Admitted } from './admit.ts'
import { denialOf, WHY } from './denial.ts'
import { encodeError, encodeReply } from './encode.ts'
import type { AnswerPolicy } from './model.ts'
import type { Request } from './request.ts'
import type { Resolved } from './resolve.ts'

export const send = ({ respond, asker }: Request, message: Buffer): void =>
  respond(message, asker.sharesKernel)

export function answerTo({ query, isUdp }: Request, { ttlOf }: Resolved, admitted: Admitted): Buffer {
  switch (admitted.kind) {
    case 'admitted': {
      const why = admitted.isReduced ? WHY.leftOut : undefined
      return encodeReply(query, admitted.reply, { isUdp, ttlOf, why })
    }
    case 'crowded':
      return encodeError(query, RCODE.servFail, WHY.crowded)
    case 'withheld':
      return encodeError(query, RCODE.servFail, WHY.withheld)
    default:
      return admitted satisfies never
  }
}

export const failureTo = ({ query }: Request): Buffer => encodeError(query, RCODE.servFail)

/** @param isAllowed whether this container may ask for another name */
export function denialTo(
  { query, asker, isUdp }: Request,
  denied: AnswerPolicy['config']['denied'],
  isAllowed: (name: string) => boolean,
): Buffer {
  const { reply, why } = denialOf(query, denied, asker, isAllowed)
  return encodeReply(query, reply, { isUdp, ttlOf: (ttl) => ttl, why })
}

/**
 * To a type that is not asked for, under a name that is allowed. Any error would be taken for one of the name: that it has no such record is what clients cope with.
 */
export function nothingOfThisType({ query }: Request): Buffer {
  // An answer to ANY is a sample of what a server has at hand: it is of no use, and large.
  const rcode = query.type === TYPE.ANY ? RCODE.notImp : RCODE.noError
  return encodeError(query, rcode, WHY.type)
}
