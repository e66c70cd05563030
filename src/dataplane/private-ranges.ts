import type { Cidr, Family, MaskedAddress } from '../net/types.ts'
import { ISATAP, wrappedForms } from '../net/wrapped.ts'

const V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
] as Cidr[]

/** By NAT64 a host without IPv4 reaches the internet's IPv4, so of that prefix only what wraps the above is left out. */
const isNat64 = (form: MaskedAddress): boolean => form.startsWith('64:ff9b::')

/** What `to: internet` leaves out (IANA special-purpose registries): space that is somebody's own network or nobody's, and tunnels that may lead into such. */
export const PRIVATE_RANGES: Readonly<Record<Family, readonly MaskedAddress[]>> = {
  4: V4,
  6: [
    ...([
      '::/96', // nobody, the host itself, IPv4-compatible
      '::ffff:0:0/96',
      '64:ff9b:1::/48',
      '100::/64',
      '2001::/32', // Teredo
      '2001:2::/48',
      '2002::/16', // 6to4
      '5f00::/16',
      'fc00::/7',
      'fe80::/10',
      'fec0::/10',
      'ff00::/8',
    ] as Cidr[]),
    ISATAP,
    ...V4.flatMap(wrappedForms).filter(isNat64),
  ],
}
