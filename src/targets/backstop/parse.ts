import { BRIDGED } from '../../config/marks.ts'

/** The backstop as the kernel holds it. */
export interface SavedBackstop {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  readonly droppedPackets: number
  readonly droppedBytes: number
  /** Existing bridges whose packets it lets pass. */
  readonly open: readonly string[]
  /** The generations whose admitted connections pass it, the latest last. */
  readonly generations: readonly number[]
}

/** As `nft` prints the hooks of the plain table and of the owned one. */
const HOOKED = {
  prerouting: /type filter hook prerouting priority (raw - (10|9)|-3(10|09)); policy accept;/,
  before: /type filter hook forward priority (filter - |-)[45]; policy accept;/,
  forward: /type filter hook forward priority (filter \+ 1[01]|1[01]); policy accept;/,
} as const
/** This chain exists only where a link is left alone. */
const HOOKED_INPUT = /type filter hook input priority (filter \+ 1[01]|1[01]); policy accept;/

/** @throws Error when the listing is cut off. */
export function parseBackstop(text: string): SavedBackstop {
  if (!text.endsWith('\n}\n')) throw new Error('reading the backstop table: the listing is cut off')
  const fingerprints: (string | undefined)[] = []
  let droppedPackets = 0
  let droppedBytes = 0
  // A chain that is not attached to its hook guards nothing, whatever rules it has.
  for (const hooked of Object.values(HOOKED)) if (!hooked.test(text)) fingerprints.push(undefined)
  if (/^[ \t]*chain input \{/m.test(text) && !HOOKED_INPUT.test(text)) fingerprints.push(undefined)
  for (const line of text.split('\n')) {
    const rule = line.trim()
    if (!/(^| )((return|drop|accept|jump|goto|reject)\b|meta mark set )/.test(rule)) continue
    if (rule.startsWith('type ')) continue
    fingerprints.push(/comment "[^"]*\[([0-9a-f]{8})\]"$/.exec(rule)?.[1])
    const counter = /counter packets (\d+) bytes (\d+) drop/.exec(rule)
    if (counter) {
      droppedPackets = Number(counter[1])
      droppedBytes = Number(counter[2])
    }
  }
  const alone = [...text.matchAll(/iif(?:name)? (?:\{ ([^{}]*) \}|("[^"]*")) return/g)]
  const open = alone.flatMap(([, several, one]) =>
    [...(several ?? one ?? '').matchAll(/"([^"]*)"/g)].map(([, name]) => name ?? ''),
  )
  const generations = [...text.matchAll(/comment "admitted in generation (\d+)/g)]
    .map(([, digits]) => Number(digits))
    .filter((generation) => generation !== BRIDGED)
  return { fingerprints, droppedPackets, droppedBytes, open: [...new Set(open)], generations }
}
