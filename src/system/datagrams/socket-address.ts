import { formatAddress, isMapped, parseBytes } from '../../net/address.ts'

export const FAMILY = { udp4: 2, udp6: 10 } as const
const V4_BYTES = 16
const V6_BYTES = 28

/** A `struct sockaddr_in` or `sockaddr_in6`. @throws for what is no address of the family */
export function encodeSocketAddress(type: 'udp4' | 'udp6', address: string, port: number): Buffer {
  const bytes = parseBytes(address)
  if (bytes?.length !== (type === 'udp4' ? 4 : 16)) throw new Error(`${address} is no address of ${type}`)
  const encoded = Buffer.alloc(type === 'udp4' ? V4_BYTES : V6_BYTES)
  encoded.writeUInt16LE(FAMILY[type], 0)
  encoded.writeUInt16BE(port, 2)
  encoded.set(bytes, type === 'udp4' ? 4 : 8)
  return encoded
}

/** Undefined: of another family. */
export function readSocketAddress(encoded: Buffer): { address: string; port: number } | undefined {
  if (encoded.length !== V4_BYTES && encoded.length !== V6_BYTES) return undefined
  const port = ((encoded[2] ?? 0) << 8) | (encoded[3] ?? 0)
  // A view of the four bytes would cost more than all else here.
  if (encoded.length === V4_BYTES)
    return { address: `${encoded[4]}.${encoded[5]}.${encoded[6]}.${encoded[7]}`, port }
  const bytes = encoded.subarray(8, 24)
  // Of a socket that takes both families, as Node writes it.
  if (isMapped(bytes)) return { address: `::ffff:${formatAddress(bytes.subarray(12))}`, port }
  // Of a link-local address with its interface, as Node writes it too: by itself it is nobody's.
  const scope = encoded.readUInt32LE(24)
  return { address: scope === 0 ? formatAddress(bytes) : `${formatAddress(bytes)}%${scope}`, port }
}
