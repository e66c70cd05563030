/** A DNS message that breaks its own format. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}

const MAX_NAME_BYTES = 255
/** A name has 127 labels at most. Pointers to pointers would have each of 4,000 records follow 8,000 of them. */
const MAX_POINTERS = 128

/** Reads a DNS message front to back. Every read beyond the end, and every name that is no name, throws {@link MalformedMessage}. */
export class MessageReader {
  position = 0
  readonly #message: Buffer
  /** Names already followed, by the offset their pointer gave: an answer of 1,500 records points 1,500 times to one place. */
  #pointedTo: Map<number, string> | undefined

  /** The one name that nearly all others point to. */
  #knownAt = -1
  #known = ''

  constructor(message: Buffer) {
    this.#message = message
  }

  skip(bytes: number): void {
    this.moveTo(this.position + bytes)
  }

  moveTo(position: number): void {
    if (position > this.#message.length) throw new MalformedMessage('the message ends too early')
    this.position = position
  }

  /** Passes over a name that is known, letter case aside. Pointers to it need not be followed. */
  skipKnown(start: number, name: string): void {
    this.moveTo(start + name.length)
    this.#knownAt = start
    this.#known = name
  }

  uint16(): number {
    const at = this.position
    this.skip(2)
    return this.#message.readUInt16BE(at)
  }

  uint32(): number {
    const at = this.position
    this.skip(4)
    return this.#message.readUInt32BE(at)
  }

  /** Where record data of this length ends. */
  dataEnd(length: number): number {
    const end = this.position + length
    if (end > this.#message.length) throw new MalformedMessage('a record ends beyond the message')
    return end
  }

  bytesUntil(end: number): Buffer {
    const bytes = this.#message.subarray(this.position, end)
    this.position = end
    return bytes
  }

  /** A name in uncompressed wire form, as lower-case latin1. */
  name(): string {
    const start = this.position
    const pointer = this.#pointerAt(start)
    if (pointer === this.#knownAt) {
      this.position = start + 2
      return this.#known
    }
    const known = pointer === undefined ? undefined : this.#pointedTo?.get(pointer)
    if (known !== undefined) {
      this.position = start + 2
      return known
    }
    const name = this.#followName()
    if (pointer !== undefined) (this.#pointedTo ??= new Map()).set(pointer, name)
    return name
  }

  /** Each pointer must point further back than the one before it and than the name's own start: thus no loop hangs us. */
  #followName(): string {
    let text = ''
    let bound = this.position
    let resume: number | undefined
    let pointers = 0
    for (;;) {
      const start = this.position
      const pointer = this.#pointerAt(start)
      if (pointer !== undefined) {
        if (pointer >= bound)
          throw new MalformedMessage('a compression pointer that does not point backwards')
        if (++pointers > MAX_POINTERS) throw new MalformedMessage('a name of more pointers than labels')
        resume ??= start + 2
        bound = pointer
        this.position = pointer
        continue
      }
      const length = this.#byte(start)
      if (length > 63) throw new MalformedMessage('a label type that does not exist')
      this.skip(1 + length)
      text += this.#message.toString('latin1', start, this.position)
      if (text.length > MAX_NAME_BYTES) throw new MalformedMessage('a name of more than 255 bytes')
      if (length === 0) {
        if (resume !== undefined) this.position = resume
        return lowerCase(text)
      }
    }
  }

  #pointerAt(at: number): number | undefined {
    const high = this.#byte(at)
    return high >= 0xc0 ? ((high & 0x3f) << 8) | this.#byte(at + 1) : undefined
  }

  #byte(at: number): number {
    const byte = this.#message[at]
    if (byte === undefined) throw new MalformedMessage('the message ends too early')
    return byte
  }
}

/** Only A-Z: DNS knows no other case, and toLowerCase would also fold bytes above 127. Names in mixed case are many, bytes above 127 are none in earnest. */
export function lowerCase(text: string): string {
  if (!CAPITAL.test(text)) return text
  return ABOVE_ASCII.test(text)
    ? text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
    : text.toLowerCase()
}

const CAPITAL = /[A-Z]/
const ABOVE_ASCII = /[\u0080-\u00ff]/
