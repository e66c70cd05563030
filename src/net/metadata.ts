import { familyOf, type Cidr, type Family, type MaskedAddress } from './types.ts'
import { wrappedForms } from './wrapped.ts'

const cidr = (text: string): Cidr => text as Cidr

/** Where a machine asks its cloud for its own data and credentials, over HTTP. */
export const INSTANCE_METADATA: { readonly 4: readonly Cidr[]; readonly 6: readonly Cidr[] } = {
  4: [
    cidr('169.254.169.254'),
    cidr('169.254.42.42'), // Scaleway
    cidr('100.100.100.200'), // Alibaba
    cidr('192.0.0.192'), // Oracle
  ],
  6: [
    cidr('fd00:ec2::254'), // AWS
    cidr('fd20:ce::254'), // Google
    cidr('fd00:c1::a9fe:a9fe'), // Oracle
    cidr('fd00:42::42'), // Scaleway
    cidr('fd00:a9fe:a9fe::1'), // Akamai
  ],
}

/**
 * Where clouds hand out credentials and instance data, beside the link-local networks that hold most of them. fe80::a9fe:a9fe
 * (OpenStack) lies within fe80::/10.
 */
export const METADATA: { readonly 4: readonly Cidr[]; readonly 6: readonly Cidr[] } = {
  4: [
    cidr('169.254.0.0/16'),
    cidr('168.63.129.16'), // Azure WireServer
    cidr('100.100.100.200'), // Alibaba
    cidr('192.0.0.192'), // Oracle
  ],
  6: [
    cidr('fe80::/10'),
    cidr('fd00:ec2::254'), // AWS
    cidr('fd00:ec2::23'), // AWS EKS pod identity
    cidr('fd20:ce::254'), // Google
    cidr('fd00:c1::a9fe:a9fe'), // Oracle
    cidr('fd00:42::42'), // Scaleway
    cidr('fd00:a9fe:a9fe::1'), // Akamai
  ],
}

export interface MetadataConfig {
  readonly block: boolean
  readonly extra: readonly Cidr[]
}

/** What is refused ahead of every allow, of one family. */
export function metadataOf({ block, extra }: MetadataConfig, family: Family): readonly Cidr[] {
  return block ? [...METADATA[family], ...extra.filter((cidr) => familyOf(cidr) === family)] : []
}

/** The same for IPv6 addresses that a translator or a tunnel would turn into IPv4 metadata addresses. */
export const wrappedMetadata = (config: MetadataConfig): readonly MaskedAddress[] =>
  metadataOf(config, 4).flatMap(wrappedForms)
