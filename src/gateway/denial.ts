import { EMPTY, NXDOMAIN, REFUSED } from './encode.ts'
import type { AnswerPolicy, Asker } from './model.ts'
import type { Query } from './query.ts'
import type { ResourceRecord } from '../dns/records.ts'
import type { Reply } from './reply.ts'
import { TYPE } from '../dns/codes.ts'
import { EXTENDED_ERROR, type ExtendedError } from './extended-error.ts'

/** Why an allowed name is not answered in full. */
export const WHY = {
  type: { code: EXTENDED_ERROR.notSupported, text: 'embargod: records of this type are not asked for' },
  leftOut: {
    code: EXTENDED_ERROR.blocked,
    text: 'embargod: addresses that this name may not have were left out',
  },
  crowded: { code: EXTENDED_ERROR.other, text: 'embargod: the name has no room for more addresses' },
  withheld: { code: EXTENDED_ERROR.other, text: 'embargod: its addresses could not be opened in time' },
} as const satisfies Record<string, ExtendedError>

/** The answer to a container that asks for a name which it may not reach. */
export interface Denial {
  readonly reply: Reply
  readonly why: ExtendedError
}

/**
 * NXDOMAIN, the default, lets a resolver go on to the next domain of its search list. It has no SOA, so it is not cached (RFC 2308): a name that becomes allowed works
 * at once, and no client concludes that nothing exists below the name.
 * @param isAllowed whether this container may ask for another name
 */
export function denialOf(
  query: Query,
  denied: AnswerPolicy['config']['denied'],
  asker: Asker,
  isAllowed: (name: string) => boolean,
): Denial {
  const text = `embargod: not allowed by ${policiesOf(asker)}`
  const blocked = { code: EXTENDED_ERROR.blocked, text }
  if (denied === 'refused') return { reply: REFUSED, why: blocked }
  if (denied === 'nxdomain' || extendsAllowed(query.dotted, isAllowed))
    return { reply: NXDOMAIN, why: blocked }
  const reply = zeroOf(query)
  return { reply, why: reply === EMPTY ? blocked : { code: EXTENDED_ERROR.forgedAnswer, text } }
}

/** So that the longest denial fits the smallest datagram. */
const MOST_POLICY_LETTERS = 80

function policiesOf({ policies }: Asker): string {
  if (policies.length === 0) return 'any policy'
  const joined = policies.join('+')
  const shortened =
    joined.length > MOST_POLICY_LETTERS ? `${joined.slice(0, MOST_POLICY_LETTERS)}...` : joined
  return `policy ${shortened}`
}

/** Domains in search lists have fewer labels than this, and a container chooses how many names are looked up here. */
const MOST_SEARCH_LABELS = 8

/** Whether it is an allowed name with a search domain behind it, as `api.example.com.corp.internal`. A resolver tries that first, and would take the address 0.0.0.0 for the answer. */
function extendsAllowed(name: string | undefined, isAllowed: (name: string) => boolean): boolean {
  let rest = name ?? ''
  for (let labels = 0; labels < MOST_SEARCH_LABELS; labels++) {
    const dot = rest.lastIndexOf('.')
    if (dot === -1) return false
    rest = rest.slice(0, dot)
    if (isAllowed(rest)) return true
  }
  return false
}

/** Short, so that a name which becomes allowed works soon. */
const ZERO_TTL_SECONDS = 5

/** An address that leads nowhere, for clients that would ask another server after an error. */
function zeroOf({ name, type }: Query): Reply {
  const bytes = type === TYPE.A ? 4 : type === TYPE.AAAA ? 16 : undefined
  if (bytes === undefined) return EMPTY
  const record: ResourceRecord = {
    owner: name,
    type,
    ttlSeconds: ZERO_TTL_SECONDS,
    data: Buffer.alloc(bytes),
    addresses: [],
    target: undefined,
  }
  return { ...EMPTY, answers: [record] }
}
