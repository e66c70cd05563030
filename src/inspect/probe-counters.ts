import { familyOf, type Address } from '../net/types.ts'
import type { Run } from '../system/exec.ts'

const TABLE = 'embargod-verify'

/** One thing to send, and where it was seen. */
export interface Probe {
  readonly id: string
  readonly source: Address
  readonly destination: Address
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  /** The approval of the rules is taken off, so only the backstop can stop it. */
  readonly disapproved: boolean
}

/** Packets of a probe: as they came in from the endpoint, behind the rules, and at the uplink. */
export interface Sighting {
  /** 0: nothing was tried, so nothing was stopped either. */
  readonly sent: number
  readonly behindRules: number
  readonly atUplink: number
}

/**
 * Counts probes ahead of every rule, behind the filter table (priority 5, ahead of the backstop's 10) and at the way out, where all of them
 * are stopped: nothing of a proof ever leaves the host.
 */
export class ProbeCounters {
  private constructor(private readonly run: Run) {}

  static async install(run: Run, probes: readonly Probe[], markBit: number): Promise<ProbeCounters> {
    await run(['nft', '-f', '-'], { input: render(probes, markBit) })
    return new ProbeCounters(run)
  }

  async read(probe: Probe): Promise<Sighting> {
    const { stdout } = await this.run(['nft', 'list', 'counters', 'table', 'inet', TABLE])
    const packets = (counter: string): number =>
      Number(new RegExp(`counter ${counter} \\{\\s*packets (\\d+)`).exec(stdout)?.[1] ?? 0)
    return {
      sent: packets(`${probe.id}-sent`),
      behindRules: packets(`${probe.id}-rules`),
      atUplink: packets(`${probe.id}-uplink`),
    }
  }

  async remove(): Promise<void> {
    await this.run(['nft', '-f', '-'], { input: `table inet ${TABLE} {}\ndelete table inet ${TABLE}\n` })
  }
}

function render(probes: readonly Probe[], markBit: number): string {
  const rest = `0x${(~markBit >>> 0).toString(16)}`
  return [
    `table inet ${TABLE} {}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    ...probes.flatMap(({ id }) => [
      `  counter ${id}-sent {}`,
      `  counter ${id}-rules {}`,
      `  counter ${id}-uplink {}`,
    ]),
    '  chain sent {',
    '    type filter hook prerouting priority -350; policy accept;',
    ...probes.map((probe) => `    ${matchOf(probe)} counter name "${probe.id}-sent"`),
    '  }',
    '  chain behind-rules {',
    '    type filter hook forward priority 5; policy accept;',
    ...probes.map(
      (probe) =>
        `    ${matchOf(probe)} counter name "${probe.id}-rules"${probe.disapproved ? ` meta mark set meta mark and ${rest}` : ''}`,
    ),
    '  }',
    '  chain uplink {',
    '    type filter hook postrouting priority -10; policy accept;',
    ...probes.map((probe) => `    ${matchOf(probe)} counter name "${probe.id}-uplink" drop`),
    ...sourcesOf(probes).map((source) => `    ${ip(source)} saddr ${source} drop`),
    '  }',
    '}',
    '',
  ].join('\n')
}

const ip = (address: Address): string => (familyOf(address) === 4 ? 'ip' : 'ip6')

function matchOf({ source, destination, protocol, port }: Probe): string {
  return `${ip(source)} saddr ${source} ${ip(source)} daddr ${destination} ${protocol} dport ${port}`
}

/** Whatever else the endpoint says stays here too. */
const sourcesOf = (probes: readonly Probe[]): Address[] => [...new Set(probes.map(({ source }) => source))]
