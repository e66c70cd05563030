/** Extended DNS Errors (RFC 8914) say why an answer is what it is. */
export const EXTENDED_ERROR = { other: 0, forgedAnswer: 4, blocked: 15, notSupported: 21 } as const

/** The number of the option in which they come. */
const OPTION = 15

export interface ExtendedError {
  readonly code: number
  /** For people, and short: it has to fit any datagram. */
  readonly text: string
}

/** As an option of extended DNS. */
export function encodeExtendedError({ code, text }: ExtendedError): Buffer {
  const words = Buffer.from(text)
  const head = Buffer.allocUnsafe(6)
  head.writeUInt16BE(OPTION, 0)
  head.writeUInt16BE(2 + words.length, 2)
  head.writeUInt16BE(code, 4)
  return Buffer.concat([head, words])
}
