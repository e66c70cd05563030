import type { Lab } from '../lab.ts'
import { HOST } from '../topology.ts'
import type { Ethernet } from './frame.ts'

/** The two ends of the only wire between the host and the little internet, for a frame that comes in. */
export async function fromInternet(lab: Lab): Promise<Ethernet> {
  const [src, dst] = await Promise.all([
    lab.internet(['ip', '-br', 'link', 'show', 'host0']),
    lab.host(['ip', '-br', 'link', 'show', HOST.uplink]),
  ])
  return { src: macIn(src.stdout), dst: macIn(dst.stdout) }
}

const macIn = (text: string): string => /([0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(text)?.[0] ?? ''

export async function toInternet(lab: Lab): Promise<Ethernet> {
  const { src, dst } = await fromInternet(lab)
  return { src: dst, dst: src }
}
