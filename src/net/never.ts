import { familyOf, type Cidr, type Family, type MaskedAddress } from './types.ts'
import { wrappedForms } from './wrapped.ts'

/** What wins over every allow, of one family: as it is written, and for IPv6 also what a translator or a tunnel would turn into IPv4 networks among it. */
export function neverOf(never: readonly Cidr[], family: Family): readonly MaskedAddress[] {
  const own = never.filter((cidr) => familyOf(cidr) === family)
  if (family === 4) return own
  return [...own, ...never.filter((cidr) => familyOf(cidr) === 4).flatMap(wrappedForms)]
}
