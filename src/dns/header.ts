/** The fixed part at the beginning of every message. */
export const HEADER_BYTES = 12

/** The TC flag: only TCP has the whole answer. */
export const isTruncated = (message: Buffer): boolean => (message.readUInt16BE(2) & 0x0200) !== 0
export const rcodeOf = (message: Buffer): number => message.readUInt16BE(2) & 0x000f
export const questionsIn = (message: Buffer): number => message.readUInt16BE(4)
export const answersIn = (message: Buffer): number => message.readUInt16BE(6)
/** An answer to a standard query, not a query itself or another operation. */
export const isResponse = (message: Buffer): boolean => (message.readUInt16BE(2) & 0xf800) === 0x8000
