/** Small and good enough: the same seed gives the same sequence everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Pair {
  readonly source: string
  /** As typed: `[2001:db8::1]:443/tcp`. */
  readonly destination: string
}

const PORTS = [25, 53, 80, 123, 443, 5432, 8050, 8080, 9999]

/** Pairs of anybody and anything; each destination with ports and protocols that rules may treat differently. */
export function randomPairs(
  count: number,
  sources: readonly string[],
  destinations: readonly string[],
  random: () => number,
): readonly Pair[] {
  const one = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0]
  const some = (list: readonly string[]): string => one(list as readonly [string, ...string[]])
  return Array.from({ length: count }, () => {
    const host = some(destinations)
    const protocol = one(['tcp', 'tcp', 'udp', 'icmp'])
    if (protocol === 'icmp') return { source: some(sources), destination: `${host}/icmp` }
    const place = host.includes(':') ? `[${host}]` : host
    const port = PORTS[Math.floor(random() * PORTS.length)] ?? 80
    return { source: some(sources), destination: `${place}:${port}/${protocol}` }
  })
}
