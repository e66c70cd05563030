import type { Protocol } from '../../src/net/types.ts'
import type { RunResult } from '../../src/system/exec.ts'
import type { Argv } from './box.ts'
import type { Lab } from './lab.ts'

/** One packet, told from all others by its tag: its source port, or the id of its echo request. */
export interface TaggedPacket {
  readonly tag: number
  readonly address: string
  readonly protocol: Protocol
  readonly port: number | undefined
}

/** A network namespace where packets set out or arrive. */
export type Place = (argv: Argv, options: { readonly input?: string }) => Promise<RunResult>

export const internetOf = (lab: Lab): Place => lab.internet.bind(lab)
export const hostOf = (lab: Lab): Place => lab.host.bind(lab)
/** The network of a container, entered from the host: the program need not be in the container. */
export const networkOf =
  (lab: Lab, pid: number): Place =>
  (argv, options) =>
    lab.host(['nsenter', `--net=/proc/${pid}/ns/net`, ...argv], options)

/** Starts to note the tag of every packet that comes in; on the host only of those that its firewall lets through to it. */
export async function watchArrivals(place: Place, hook: 'prerouting' | 'input'): Promise<void> {
  const priority = hook === 'input' ? 500 : -400
  const note = (match: string, tag: string) => `    ${match} update @tags { ${tag} }\n`
  await place(['nft', '-f', '-'], {
    input: [
      'table inet arrivals {',
      '  set tags { type inet_service; flags dynamic; size 65535; }',
      '  chain in {',
      `    type filter hook ${hook} priority ${priority}`,
      note('meta l4proto { tcp, udp } th sport 20000-29999', 'th sport'),
      note('icmp type echo-request @th,32,16 20000-29999', '@th,32,16'),
      note('icmpv6 type echo-request @th,32,16 20000-29999', '@th,32,16'),
      '  }',
      '}',
      '',
    ].join('\n'),
  })
}

export async function arrivedTags(place: Place): Promise<ReadonlySet<number>> {
  const { stdout } = await place(['nft', '-n', 'list', 'set', 'inet', 'arrivals', 'tags'], {})
  const elements = /elements = \{([^}]*)\}/.exec(stdout)?.[1] ?? ''
  return new Set([...elements.matchAll(/\d+/g)].map(([tag]) => Number(tag)))
}

/** Sends each packet once, by the kernel's own sockets, as a program would. What has no route is simply not sent. */
export async function sendTagged(from: Place, packets: readonly TaggedPacket[]): Promise<void> {
  const lines = packets.map(
    ({ tag, address, protocol, port }) => `${protocol} ${address} ${port ?? 0} ${tag}\n`,
  )
  await from(['perl', '-e', SEND], { input: lines.join('') })
}

const SEND = String.raw`
use strict; use warnings;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6 PF_INET6 IPPROTO_TCP IPPROTO_UDP);
use constant { ICMP => 1, ICMP6 => 58 };
my @open;
while (<STDIN>) {
    my ($protocol, $text, $port, $tag) = split;
    my $v6 = $text =~ /:/;
    my $to = sub { $v6 ? pack_sockaddr_in6($_[0], inet_pton(AF_INET6, $text)) : pack_sockaddr_in($_[0], inet_aton($text)) };
    my $any = $v6 ? pack_sockaddr_in6($tag, inet_pton(AF_INET6, '::')) : pack_sockaddr_in($tag, INADDR_ANY);
    my $domain = $v6 ? PF_INET6 : PF_INET;
    if ($protocol eq 'icmp') {
        socket my $s, $domain, SOCK_RAW, $v6 ? ICMP6 : ICMP or die "socket: $!";
        my $echo = sub { pack 'C C n n n', $v6 ? 128 : 8, 0, $_[0], $tag, 1 };
        my $sum = unpack '%32n*', $echo->(0);
        $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
        send $s, $echo->($v6 ? 0 : ~$sum & 0xffff), 0, $to->(0);
        next;
    }
    my $tcp = $protocol eq 'tcp';
    socket my $s, $domain, $tcp ? SOCK_STREAM : SOCK_DGRAM, $tcp ? IPPROTO_TCP : IPPROTO_UDP or die "socket: $!";
    $s->blocking(0);
    bind $s, $any or die "bind $tag: $!";
    if ($tcp) { connect $s, $to->($port) } else { send $s, 'tagged', 0, $to->($port) }
    push @open, $s;
}
select undef, undef, undef, 0.5;
`
