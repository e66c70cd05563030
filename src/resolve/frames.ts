/** Cuts the stream into messages: two bytes of length before each, so at most 64 KiB wait here. */
export class Frames {
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(private readonly onFrame: (frame: Buffer) => void) {}

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < 2) return
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE()
      this.onFrame(rest.subarray(2, end))
      rest = rest.subarray(end)
    }
    this.#chunks = rest.length > 0 ? [rest] : []
    this.#bytes = rest.length
  }
}
