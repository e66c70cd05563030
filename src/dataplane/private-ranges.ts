import type { Cidr, Family } from '../net/types.ts'

/** What `to: internet` leaves out (IANA special-purpose registries): space that is somebody's own network or nobody's. */
export const PRIVATE_RANGES: Readonly<Record<Family, readonly Cidr[]>> = {
  4: [
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '224.0.0.0/3',
  ] as Cidr[],
  6: [
    '::/127',
    '::ffff:0:0/96',
    '64:ff9b::a00:0/104',
    '64:ff9b::a9fe:0/112',
    '64:ff9b::ac10:0/108',
    '64:ff9b::c0a8:0/112',
    '64:ff9b:1::/48',
    'fc00::/7',
    'fe80::/10',
    'fec0::/10',
    'ff00::/8',
  ] as Cidr[],
}
