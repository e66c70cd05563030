import { LineProcess } from '../../system/line-process.ts'
import {
  BACKSTOP_TABLE,
  BINDINGS_TABLE,
  CHAIN_PREFIX,
  OWNED_TABLE,
  HOST_NETWORK_TABLE,
} from '../../dataplane/names.ts'

type RulesPart = 4 | 6 | 'backstop' | 'bindings' | 'host-network'

/**
 * Reports changes to our tables and to the chains that jump to ours, as soon as the kernel reports them. Legacy iptables reports nothing here.
 * Changes of other chains are left out, since a busy host makes many.
 */
export const watchRules = (listener: {
  onChange(part: RulesPart | undefined): void
  onStart(): void
  onEnd(error: Error): void
}): LineProcess =>
  new LineProcess({
    argv: ['nft', 'monitor'],
    onLine: (line) => {
      if (concernsUs(line)) listener.onChange(partOf(line))
    },
    onStart: () => listener.onStart(),
    onEnd: (error) => listener.onEnd(error),
  })

const OURS = new RegExp(
  `\\b(${CHAIN_PREFIX}|${BACKSTOP_TABLE}|${OWNED_TABLE}|${BINDINGS_TABLE}|${HOST_NETWORK_TABLE}|DOCKER-USER|FORWARD|INPUT|OUTPUT|PREROUTING)\\b`,
)
const GONE = new RegExp(
  `^(delete|destroy|flush) table (ip|ip6|inet|bridge) (filter|raw|${BACKSTOP_TABLE}|${OWNED_TABLE}|${BINDINGS_TABLE}|${HOST_NETWORK_TABLE})\\b`,
)

/** Which part the line is about; undefined: it does not say. */
export function partOf(line: string): RulesPart | undefined {
  if (line.includes(` ${HOST_NETWORK_TABLE}`)) return 'host-network'
  if (line.includes(` ${BINDINGS_TABLE}`)) return 'bindings'
  const family = /^\w+ \w+ (ip6?|inet|bridge) /.exec(line)?.[1]
  return family === undefined ? undefined : PART_OF[family]
}

const PART_OF: Readonly<Record<string, RulesPart>> = { ip: 4, ip6: 6, inet: 'backstop', bridge: 'bindings' }

/** A line of `nft monitor`, such as `delete rule ip filter DOCKER-USER handle 7`. */
export const concernsUs = (line: string): boolean =>
  /^(add|insert|delete|replace|flush|destroy) (rule|chain|table) /.test(line) &&
  (OURS.test(line) || GONE.test(line))
