import { BRIDGED, generationMark, type MarkLayout } from '../config/marks.ts'
import { familyOf } from '../net/types.ts'
import type { Address } from '../net/types.ts'
import type { Run } from '../system/exec.ts'
import type { ProbeTarget } from './model.ts'
import type { ProbePort } from './ports.ts'
import { RESERVED_MAC, type ProbeWay } from './ways.ts'

const TABLE = 'embargod-verify'
/** A redirection outlives a proof that was killed by no more than this. */
const REDIRECTED_SECONDS = 30

/** One packet to send, and how it is known again. */
export interface Probe {
  readonly id: string
  readonly port: ProbePort
  readonly source: Address
  readonly sourcePort: number
  readonly target: ProbeTarget
  readonly way: ProbeWay
  /** The approval of the rules is taken off, so only the backstop can stop it. */
  readonly disapproved: boolean
  /**
   * On its way through the rules its connection looks admitted, and not before or after. As a reply to that it passes them whatever they allow.
   */
  readonly passesRules: boolean
  /** What is sent to this port of our own on the loopback interface becomes the probe. */
  readonly carrierPort: number
}

/** Where a probe's packets were seen. */
export interface Sighting {
  /** Come in from the bridge. 0: nothing was tried, so nothing was stopped either. */
  readonly sent: number
  readonly behindRules: number
  /** Behind the rules and approved by them. */
  readonly approved: number
  /** Behind the rules, and its connection admitted by them. */
  readonly admitted: number
  readonly atUplink: number
}

/**
 * Two tables. The one turns packets of our own on the loopback interface into probes and sends them into the bridge by its port: that
 * needs neither a namespace nor a raw socket, so the daemon's sandbox allows it. The other counts them ahead of every rule, behind the
 * filter table (priority 5, ahead of the backstop's 10) and at the way out, where all are stopped: no probe ever leaves the host.
 */
export async function installTable(run: Run, probes: readonly Probe[], marks: MarkLayout): Promise<void> {
  await run(['nft', '-f', '-'], { input: [...forget(), ...render(probes, marks)].join('\n') })
}

export async function removeTable(run: Run): Promise<void> {
  await run(['nft', '-f', '-'], { input: forget().join('\n') })
}

/** @returns sightings by the probes' ids */
export async function readTable(run: Run, probes: readonly Probe[]): Promise<Map<string, Sighting>> {
  const { stdout } = await run(['nft', 'list', 'counters', 'table', 'inet', TABLE])
  const packets = new Map(
    [...stdout.matchAll(/counter (\S+) \{\s*packets (\d+)/g)].map(([, name = '', count]) => [
      name,
      Number(count),
    ]),
  )
  return new Map(
    probes.map(({ id }) => [
      id,
      {
        sent: packets.get(`${id}-sent`) ?? 0,
        behindRules: packets.get(`${id}-behind`) ?? 0,
        approved: packets.get(`${id}-approved`) ?? 0,
        admitted: packets.get(`${id}-admitted`) ?? 0,
        atUplink: packets.get(`${id}-uplink`) ?? 0,
      },
    ]),
  )
}

const forget = (): string[] =>
  ['inet', 'netdev'].flatMap((family) => [
    `table ${family} ${TABLE} {}`,
    `delete table ${family} ${TABLE}`,
    '',
  ])

function render(probes: readonly Probe[], marks: MarkLayout): string[] {
  const bit = hex(marks.approval)
  const rest = hex(~marks.approval >>> 0)
  const others = hex(~marks.generation >>> 0)
  return [
    `table netdev ${TABLE} {`,
    '  set alive {',
    '    type inet_service',
    '    flags timeout',
    `    elements = { ${probes.map(({ carrierPort }) => `${carrierPort} timeout ${REDIRECTED_SECONDS}s`).join(', ')} }`,
    '  }',
    '  chain loopback {',
    '    type filter hook ingress device "lo" priority -300; policy accept;',
    '    th dport != @alive accept',
    ...probes.map((probe) => `    ${redirect(probe)}`),
    '  }',
    '}',
    `table inet ${TABLE} {`,
    ...probes.flatMap(({ id }) =>
      ['sent', 'behind', 'approved', 'admitted', 'uplink'].map((place) => `  counter ${id}-${place} {}`),
    ),
    '  chain sent {',
    '    type filter hook prerouting priority -350; policy accept;',
    ...probes.map((probe) => `    ${matchOf(probe)} counter name "${probe.id}-sent"`),
    '  }',
    '  chain admit {',
    '    type filter hook forward priority -5; policy accept;',
    ...probes
      .filter(({ passesRules }) => passesRules)
      .map(
        (probe) =>
          `    ${matchOf(probe)} ct mark set ct mark and ${others} or ${hex(generationMark(marks, 1))}`,
      ),
    '  }',
    '  chain behind {',
    '    type filter hook forward priority 5; policy accept;',
    ...probes.flatMap((probe) => [
      `    ${matchOf(probe)} counter name "${probe.id}-behind"`,
      `    ${matchOf(probe)} meta mark and ${bit} == ${bit} counter name "${probe.id}-approved"`,
      `    ${matchOf(probe)} ${admitted(marks)} counter name "${probe.id}-admitted"`,
      ...(probe.disapproved ? [`    ${matchOf(probe)} meta mark set meta mark and ${rest}`] : []),
      ...(probe.passesRules ? [`    ${matchOf(probe)} ct mark set ct mark and ${others}`] : []),
    ]),
    '  }',
    // What comes by a reserved address is never routed on: it would be for the host itself, and is stopped ahead of its services.
    '  chain host {',
    '    type filter hook input priority -400; policy accept;',
    ...probes
      .filter(({ way }) => way === 'reserved')
      .map((probe) => `    ${matchOf(probe)} counter name "${probe.id}-behind" drop`),
    '  }',
    '  chain uplink {',
    '    type filter hook postrouting priority -10; policy accept;',
    ...probes.map((probe) => `    ${matchOf(probe)} counter name "${probe.id}-uplink" drop`),
    '  }',
    '}',
    '',
  ]
}

/** In any generation. What was bridged bears a sign in its place. */
const admitted = (marks: MarkLayout): string =>
  [0, BRIDGED]
    .map((one) => `ct mark and ${hex(marks.generation)} != ${hex(generationMark(marks, one))}`)
    .join(' ')

const hex = (value: number): string => `0x${value.toString(16)}`
const ip = (address: Address): string => (familyOf(address) === 4 ? 'ip' : 'ip6')

function matchOf({ source, sourcePort, target, way }: Probe): string {
  const { destination, protocol, port } = target
  if (way === 'error')
    return `${ip(source)} saddr ${source} ${ip(source)} daddr ${destination} meta l4proto ${icmp(source)}`
  return `${ip(source)} saddr ${source} ${ip(source)} daddr ${destination} ${protocol} sport ${sourcePort} ${protocol} dport ${port}`
}

/** Any sender that is not the bridge itself. */
const SENDER = '0xfefffffffffe'

const icmp = (address: Address): string => (familyOf(address) === 4 ? 'icmp' : 'ipv6-icmp')
const protocolOf = (address: Address): string => (familyOf(address) === 4 ? 'ip protocol' : 'ip6 nexthdr')

const ICMP = { 4: 1, 6: 58 } as const
/** Type and code of "port unreachable". */
const UNREACHABLE = { 4: '0x0303', 6: '0x0104' } as const

/** The frame's addresses are set by their place: nft knows no Ethernet on the loopback interface. */
function redirect(probe: Probe): string {
  const { port, source, sourcePort, target, carrierPort, way } = probe
  const { destination, protocol } = target
  return [
    `${protocolOf(source)} ${protocol}`,
    `${protocol} dport ${carrierPort}`,
    `@ll,0,48 set 0x${frameTo(probe).replaceAll(':', '')} @ll,48,48 set ${SENDER}`,
    `${ip(source)} saddr set ${source} ${ip(source)} daddr set ${destination}`,
    ...(way === 'error'
      ? // The header of UDP becomes that of ICMP, and what it carried is what the error quotes.
        [
          `@th,0,16 set ${UNREACHABLE[familyOf(source)]}`,
          `${protocolOf(source)} set ${ICMP[familyOf(source)]}`,
        ]
      : [`${protocol} sport set ${sourcePort} ${protocol} dport set ${target.port}`]),
    `fwd to "${port.far}"`,
  ].join(' ')
}

function frameTo({ way, port }: Probe): string {
  if (way === 'reserved') return RESERVED_MAC
  return way === 'bridged' ? (port.neighbourMac ?? port.bridgeMac) : port.bridgeMac
}
