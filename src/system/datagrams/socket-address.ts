import { formatAddress, parseBytes } from '../../net/address.ts'

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
  const place =
    encoded.length === V4_BYTES
      ? encoded.subarray(4, 8)
      : encoded.length === V6_BYTES
        ? encoded.subarray(8, 24)
        : undefined
  return place && { address: formatAddress(place), port: encoded.readUInt16BE(2) }
}
