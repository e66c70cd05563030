import { parse } from 'tldts'
import type { Hostname } from '../net/types.ts'

/** Some rules of the list speak of whatever is below a name (`*.kawasaki.jp`): so a name below is asked for. */
const BELOW = 'any-name'

/**
 * Is a name one under which others register names (the ICANN section of the public suffix list) or rent places (its private section)?
 * Undefined: neither. The list is the one that this version was built with.
 */
export function publicSuffixKind(name: Hostname): 'registry' | 'tenants' | undefined {
  const { publicSuffix, isIcann, isPrivate } = parse(`${BELOW}.${name}`, {
    allowPrivateDomains: true,
    extractHostname: false,
    validateHostname: false,
  })
  if (publicSuffix !== name && publicSuffix !== `${BELOW}.${name}`) return undefined
  if (isIcann) return 'registry'
  return isPrivate ? 'tenants' : undefined
}
