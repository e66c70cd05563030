import { parseHostname } from '../net/hostname.ts'
import type { AllowTarget } from './model.ts'
import { publicSuffixKind } from './public-suffix.ts'

export type Wildcard = Extract<AllowTarget, { readonly kind: 'wildcard' }>

const FORM = /^(\*\*?)\.([^*]*)$/s
const TOP_LEVEL = /^[\p{L}\p{M}\p{N}_-]+\.?$/u

/** `*.example.com`: one label below the name; `**.example.com`: one or more. */
export function parseWildcard(text: string): { readonly target: Wildcard } | { readonly reason: string } {
  if (text === '*' || text === '**')
    return {
      reason: `"${text}" is every name there is: name a domain, or write "to: internet" for all that is not private`,
    }
  const [, stars, written] = FORM.exec(text) ?? []
  if (stars === undefined || written === undefined)
    return {
      reason: `"${text}" is no wildcard: there are *.example.com, for one label below the name, and **.example.com, for one or more`,
    }
  if (TOP_LEVEL.test(written))
    return {
      reason: `"${text}" is a whole top-level domain: name a domain below it, like ${stars}.example.com`,
    }
  const parsed = parseHostname(written)
  if ('reason' in parsed) return parsed
  const suffix = parsed.hostname
  if (publicSuffixKind(suffix) === 'registry')
    return { reason: `"${text}": anyone can register a name under ${suffix}: name a domain below it` }
  return { target: { kind: 'wildcard', suffix, depth: stars === '*' ? 'one' : 'any' } }
}
