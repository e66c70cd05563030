import { bytesOf } from '../../../src/net/address.ts'
import type { Address } from '../../../src/net/types.ts'

/** The parts of a packet, from the address up: what `sender.pl` does for packets, for frames that TypeScript composes. */
export const u8 = (...values: readonly number[]): Buffer => Buffer.from(values)
export const u16 = (...values: readonly number[]): Buffer =>
  Buffer.from(values.flatMap((value) => [(value >> 8) & 255, value & 255]))
export const u32 = (...values: readonly number[]): Buffer =>
  Buffer.from(values.flatMap((value) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255)))
export const join = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts)

/** 4 or 16 bytes. */
export const addressBytes = (text: string): Buffer => Buffer.from(bytesOf(text as Address))
export const macBytes = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex')

/** The internet checksum (RFC 1071). */
export function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** The same bytes with two of them replaced. */
export function withU16(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt16BE(value, at)
  return copy
}
