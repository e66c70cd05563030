import { followAliases } from '../dns/aliases.ts'
import { RCODE, TYPE } from '../dns/codes.ts'
import { answersIn, HEADER_BYTES, rcodeOf } from '../dns/header.ts'
import { MalformedMessage, MessageReader } from '../dns/message-reader.ts'
import type { NoAnswer } from '../dns/no-answer.ts'
import type { Question } from '../dns/question.ts'
import { readSection } from '../dns/records.ts'
import type { Lookup } from './model.ts'

/**
 * What a message says that answers this question. Addresses count only if they belong to the asked name or to the end of its CNAME chain inside this message, and for
 * no longer than the shortest link of the chain. Never throws.
 */
export function lookupOf(message: Buffer, question: Pick<Question, 'name' | 'type'>): Lookup {
  const rcode = rcodeOf(message)
  if (rcode !== RCODE.noError) return failureOf(rcode)
  try {
    return addressesIn(message, question)
  } catch (error) {
    if (error instanceof MalformedMessage) return { kind: 'malformed', detail: error.message }
    throw error
  }
}

const KINDS = {
  timeout: 'timeout',
  malformed: 'malformed',
  unreachable: 'error',
  'not-sent': 'error',
} as const

export const lookupWithout = ({ kind, message }: NoAnswer): Lookup => ({ kind: KINDS[kind], detail: message })

function failureOf(rcode: number): Lookup {
  switch (rcode) {
    case RCODE.formErr:
    case RCODE.notImp:
      return { kind: 'error', detail: 'the server does not understand the question (FORMERR)' }
    case RCODE.servFail:
      return { kind: 'servfail', detail: 'the server failed (SERVFAIL)' }
    case RCODE.nxDomain:
      return { kind: 'nxdomain', detail: 'no such name (NXDOMAIN)' }
    case RCODE.refused:
      return { kind: 'refused', detail: 'the server refused to answer (REFUSED)' }
    default:
      return { kind: 'error', detail: `the server answered with code ${rcode}` }
  }
}

function addressesIn(message: Buffer, { name, type }: Pick<Question, 'name' | 'type'>): Lookup {
  const reader = new MessageReader(message)
  reader.skipKnown(HEADER_BYTES, name)
  // The type and the class of the question.
  reader.skip(4)
  const chain = followAliases(readSection(reader, answersIn(message)), name, type)
  const aliasTtlSeconds = chain
    .filter((record) => record.type === TYPE.CNAME)
    .reduce((least, { ttlSeconds }) => Math.min(least, ttlSeconds), Number.POSITIVE_INFINITY)
  const records = chain
    .filter((record) => record.type === type)
    .flatMap(({ addresses, ttlSeconds }) =>
      addresses.map((address) => ({ address, ttlMs: Math.min(ttlSeconds, aliasTtlSeconds) * 1000 })),
    )
  return records.length > 0 ? { kind: 'addresses', records } : { kind: 'empty' }
}
