/** Cuts the stream into messages: two bytes of length before each, so at most 64 KiB wait here, and what came while there was no room. */
export class Frames {
  #chunks: Buffer[] = []
  #isCutting = false

  /** @param isFull true: no message is given until {@link cut} is called again */
  constructor(
    private readonly onFrame: (frame: Buffer) => void,
    private readonly isFull: () => boolean = () => false,
  ) {}

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.cut()
  }

  /** Goes on where it stopped. */
  cut(): void {
    // Who gets a message may answer it at once, and ask for the next one.
    if (this.#isCutting) return
    this.#isCutting = true
    const [first = Buffer.alloc(0)] = this.#chunks
    let rest = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks)
    try {
      while (!this.isFull() && rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
        const frame = rest.subarray(2, 2 + rest.readUInt16BE())
        rest = rest.subarray(2 + frame.length)
        this.onFrame(frame)
      }
    } finally {
      this.#chunks = rest.length > 0 ? [rest] : []
      this.#isCutting = false
    }
  }
}
