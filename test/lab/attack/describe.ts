import { formatAddress } from '../../../src/net/address.ts'

/** A captured frame in a few words: who to whom, and by what. */
export function describeFrame(frame: Buffer): string {
  const type = frame.length < 14 ? 0 : frame.readUInt16BE(12)
  if (type === 0x0800 && frame.length >= 34) {
    const [from, to] = [frame.subarray(26, 30), frame.subarray(30, 34)]
    return `${formatAddress(from)} > ${formatAddress(to)} protocol ${frame[23]} ${kind(frame, 34)}`.trim()
  }
  if (type === 0x86dd && frame.length >= 54) {
    const [from, to] = [frame.subarray(22, 38), frame.subarray(38, 54)]
    return `${formatAddress(from)} > ${formatAddress(to)} protocol ${frame[20]} ${kind(frame, 54)}`.trim()
  }
  return `frame of type 0x${type.toString(16)}`
}

function kind(frame: Buffer, at: number): string {
  const protocol = frame[at === 34 ? 23 : 20]
  return protocol === 1 || protocol === 58 ? `type ${frame[at] ?? '?'}` : ''
}

/** Each once, with how often where more than once. */
export function describeFrames(frames: readonly Buffer[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const words of frames.map(describeFrame)) counts.set(words, (counts.get(words) ?? 0) + 1)
  return [...counts].map(([words, count]) => (count > 1 ? `${words} (${count})` : words))
}
