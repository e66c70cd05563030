#!/usr/bin/perl
# Sends packets from raw sockets, as a hostile container would (NET_RAW is among the default capabilities).
#
#   sender flood --proto=udp|syn --dst=A [--port=P] --rate=R --seconds=S [--src=B --spread=N]
#       R packets a second, each from a fresh source port; in the name of B and the N - 1 addresses after it, in turn,
#       where given; prints {"sent":N}
#   sender odd --dst=BASE4 [--dst6=BASE6] [--only=kind,kind] [--count=N]
#       each odd packet N times, the k-th kind to BASE + k; prints [{"kind":…,"dst":…,"proto":…,"sent":N},…]
#   sender forge --src=A --sport=P --dst=B --ports=FROM-TO --payload=HEX
#       one UDP packet in the name of A to each of the ports; prints {"sent":N}
#   sender kinds
use strict;
use warnings;
use POSIX ();
use Errno ();
use Socket qw(inet_pton inet_ntop pack_sockaddr_in pack_sockaddr_in6 unpack_sockaddr_in unpack_sockaddr_in6
  AF_INET AF_INET6 SOCK_RAW SOCK_DGRAM);

use constant { TCP => 6, UDP => 17, ICMP => 1, ICMP6 => 58, SCTP => 132, GRE => 47, ESP => 50, IPPROTO_RAW => 255 };
use constant { FIN => 1, SYN => 2, RST => 4, PSH => 8, ACK => 16, URG => 32 };
use constant { HOPOPT => 0, ROUTING => 43, FRAGMENT => 44, DSTOPTS => 60 };
# Own fragments must leave the container as they are, though its namespace tracks connections.
use constant { SOL_IP => 0, IP_NODEFRAG => 22 };

my $command = shift // '';
my %option = (proto => 'udp', port => 9999, rate => 1000, seconds => 1, count => 1, only => '', spread => 1);
for (@ARGV) {
    /^--([a-z0-9]+)=(.*)$/ or die "sender: what is $_?\n";
    $option{$1} = $2;
}
my $text = 'secret that must not leave';
my ($raw4, $raw6);

if    ($command eq 'flood') { flood() }
elsif ($command eq 'odd')   { odd() }
elsif ($command eq 'forge') { forge() }
elsif ($command eq 'kinds') { print join("\n", map { $_->{kind} } kinds()), "\n" }
else                        { die "usage: sender flood|odd|forge|kinds …\n" }

sub flood {
    my $dst    = address($option{dst});
    my $src    = defined $option{src} ? address($option{src}) : own_address($dst);
    my $number = $option{proto} eq 'syn' ? TCP : UDP;
    my $total  = $option{rate} * $option{seconds};
    my $port   = 1024 + int rand 64000;
    my $start  = now();
    my $sent   = 0;
    while ($sent < $total) {
        my $due = (now() - $start + 0.01) * $option{rate};
        $due = $total if $due > $total;
        for (; $sent < $due; $sent++) {
            $port = $port >= 65535 ? 1024 : $port + 1;
            my $from = $option{spread} > 1 ? plus($src, $sent % $option{spread}) : $src;
            my $segment = $number == TCP ? tcp($from, $dst, $port, $option{port}, SYN, '') : udp($from, $dst, $port, $option{port}, $text);
            transmit($dst, packet($from, $dst, $number, $segment));
        }
        select undef, undef, undef, 0.005;
    }
    print "{\"sent\":$sent}\n";
}

sub forge {
    my ($src, $dst)   = (address($option{src}), address($option{dst}));
    my ($first, $last) = split /-/, $option{ports};
    my $payload = pack 'H*', $option{payload};
    for my $port ($first .. $last) {
        transmit($dst, packet($src, $dst, UDP, udp($src, $dst, $option{sport}, $port, $payload)));
    }
    printf "{\"sent\":%d}\n", $last - $first + 1;
}

sub odd {
    my %only = map { $_ => 1 } split /,/, $option{only};
    my @report;
    my %index = (4 => 0, 6 => 0);
    for my $kind (kinds()) {
        my $base = $kind->{family} == 4 ? $option{dst} : $option{dst6};
        my $k    = $index{ $kind->{family} }++;
        next if !defined $base || (%only && !$only{ $kind->{kind} });
        my $dst = plus(address($base), $k);
        my $src = own_address($dst);
        for (1 .. $option{count}) { transmit($dst, $_) for $kind->{make}->($src, $dst) }
        push @report, sprintf '{"kind":"%s","dst":"%s","proto":%d,"sent":%d}', $kind->{kind}, text_of($dst), $kind->{proto}, $option{count};
    }
    print '[', join(",\n ", @report), "]\n";
}

# Every packet that a chain which judges only NEW, or only TCP, UDP and echo requests, lets out with payload.
sub kinds {
    my @list;
    my $add = sub { my ($family, $kind, $proto, $make) = @_; push @list, { family => $family, kind => "v$family-$kind", proto => $proto, make => $make } };
    my %flags = (
        'tcp-null' => 0, 'tcp-syn-fin' => SYN | FIN, 'tcp-syn-rst' => SYN | RST, 'tcp-rst' => RST, 'tcp-fin' => FIN,
        'tcp-syn-ack' => SYN | ACK, 'tcp-ack' => ACK | PSH, 'tcp-xmas' => FIN | PSH | URG,
    );
    for my $family (4, 6) {
        for my $kind (sort keys %flags) {
            my $bits = $flags{$kind};
            $add->($family, $kind, TCP, sub { my ($s, $d) = @_; packet($s, $d, TCP, tcp($s, $d, port(), 443, $bits, $text)) });
        }
        $add->($family, 'udp', UDP, sub { my ($s, $d) = @_; packet($s, $d, UDP, udp($s, $d, port(), 9999, $text)) });
        $add->($family, 'udp-short-length', UDP, sub { my ($s, $d) = @_; packet($s, $d, UDP, udp($s, $d, port(), 9999, $text, 4)) });
        $add->($family, 'udp-long-length', UDP, sub { my ($s, $d) = @_; packet($s, $d, UDP, udp($s, $d, port(), 9999, $text, 900)) });
        $add->($family, 'sctp-init', SCTP, sub { my ($s, $d) = @_; packet($s, $d, SCTP, sctp_init()) });
        $add->($family, 'gre', GRE, sub { my ($s, $d) = @_; packet($s, $d, GRE, pack('n n', 0, 0x0800) . $text) });
        $add->($family, 'esp', ESP, sub { my ($s, $d) = @_; packet($s, $d, ESP, pack('N N', 0x1234, 1) . $text) });
        $add->($family, 'unknown-protocol', 253, sub { my ($s, $d) = @_; packet($s, $d, 253, $text) });
        $add->($family, 'fragments', UDP, sub { my ($s, $d) = @_; fragments($s, $d, udp($s, $d, port(), 9999, $text x 8)) });
        $add->($family, 'forged-source', UDP, sub {
            my ($s, $d) = @_;
            my $forged = address($family == 4 ? '10.66.66.66' : '2001:db8:bad::1');
            packet($forged, $d, UDP, udp($forged, $d, port(), 9999, $text));
        });
    }
    $add->(4, 'icmp-echo-request', ICMP, sub { my ($s, $d) = @_; packet($s, $d, ICMP, icmp(8, 0, pack('n n', 7, 1) . $text)) });
    $add->(4, 'icmp-echo-reply', ICMP, sub { my ($s, $d) = @_; packet($s, $d, ICMP, icmp(0, 0, pack('n n', 7, 1) . $text)) });
    $add->(4, 'icmp-timestamp', ICMP, sub { my ($s, $d) = @_; packet($s, $d, ICMP, icmp(13, 0, pack('n n N N N', 7, 1, 1, 2, 3))) });
    $add->(4, 'icmp-unreachable', ICMP, sub {
        my ($s, $d) = @_;
        my $about = packet($d, $s, UDP, udp($d, $s, 4444, port(), $text));
        packet($s, $d, ICMP, icmp(3, 1, pack('N', 0) . $about));
    });
    $add->(4, 'ip-options', UDP, sub { my ($s, $d) = @_; packet4($s, $d, UDP, udp($s, $d, port(), 9999, $text), 0, "\x01\x01\x01\x00") });
    $add->(6, 'icmp-echo-request', ICMP6, sub { my ($s, $d) = @_; packet($s, $d, ICMP6, icmp6($s, $d, 128, 0, pack('n n', 7, 1) . $text)) });
    $add->(6, 'icmp-echo-reply', ICMP6, sub { my ($s, $d) = @_; packet($s, $d, ICMP6, icmp6($s, $d, 129, 0, pack('n n', 7, 1) . $text)) });
    $add->(6, 'icmp-unreachable', ICMP6, sub {
        my ($s, $d) = @_;
        my $about = packet($d, $s, UDP, udp($d, $s, 4444, port(), $text));
        packet($s, $d, ICMP6, icmp6($s, $d, 1, 0, pack('N', 0) . $about));
    });
    my $pad = pack 'C C C4', 1, 4, 0, 0, 0, 0;    # PadN
    for my $header ([ 'hop-by-hop', HOPOPT, $pad ], [ 'destination-options', DSTOPTS, $pad ], [ 'routing-header', ROUTING, pack('C C N', 253, 0, 0) ]) {
        my ($kind, $number, $body) = @$header;
        $add->(6, $kind, UDP, sub { my ($s, $d) = @_; packet6($s, $d, $number, pack('C C', UDP, 0) . $body . udp($s, $d, port(), 9999, $text)) });
    }
    $add->(6, 'atomic-fragment', UDP, sub { my ($s, $d) = @_; packet6($s, $d, FRAGMENT, pack('C C n N', UDP, 0, 0, random32()) . udp($s, $d, port(), 9999, $text)) });
    return @list;
}

# Layer 4

sub tcp {
    my ($src, $dst, $from, $to, $flags, $payload) = @_;
    my $segment = pack('n n N N C C n n n', $from, $to, random32(), random32(), 5 << 4, $flags, 64240, 0, 0) . $payload;
    substr($segment, 16, 2) = pack 'n', checksum(pseudo($src, $dst, TCP, length $segment) . $segment);
    return $segment;
}

# With a length of its own choice the datagram is malformed.
sub udp {
    my ($src, $dst, $from, $to, $payload, $length) = @_;
    $length //= 8 + length $payload;
    my $datagram = pack('n n n n', $from, $to, $length, 0) . $payload;
    my $sum = checksum(pseudo($src, $dst, UDP, $length) . $datagram);
    substr($datagram, 6, 2) = pack 'n', $sum || 0xffff;
    return $datagram;
}

sub icmp {
    my ($type, $code, $rest) = @_;
    my $message = pack('C C n', $type, $code, 0) . $rest;
    substr($message, 2, 2) = pack 'n', checksum($message);
    return $message;
}

sub icmp6 {
    my ($src, $dst, $type, $code, $rest) = @_;
    my $message = pack('C C n', $type, $code, 0) . $rest;
    substr($message, 2, 2) = pack 'n', checksum(pseudo($src, $dst, ICMP6, length $message) . $message);
    return $message;
}

sub sctp_init {
    my $chunk  = pack 'C C n N N n n N', 1, 0, 20, random32(), 65536, 1, 1, random32();
    my $packet = pack('n n N N', port(), 9999, 0, 0) . $chunk;
    substr($packet, 8, 4) = pack 'V', crc32c($packet);
    return $packet;
}

# Layer 3

sub packet { my ($src, $dst, @rest) = @_; return length $src == 4 ? packet4($src, $dst, @rest) : packet6($src, $dst, @rest) }

# $fragment: flags and offset as in the header. The kernel fills in length and checksum.
sub packet4 {
    my ($src, $dst, $number, $payload, $fragment, $options, $id) = @_;
    $options //= '';
    my $header = pack('C C n n n C C n', 0x40 | (5 + length($options) / 4), 0, 20 + length($options) + length $payload,
        $id // (1 + int rand 65535), $fragment // 0, 64, $number, 0) . $src . $dst . $options;
    substr($header, 10, 2) = pack 'n', checksum($header);
    return $header . $payload;
}

sub packet6 {
    my ($src, $dst, $number, $payload) = @_;
    return pack('N n C C', 6 << 28, length $payload, $number, 64) . $src . $dst . $payload;
}

# A first and a later fragment; hosts that track connections put them together before they judge.
sub fragments {
    my ($src, $dst, $datagram) = @_;
    my ($first, $later) = (substr($datagram, 0, 64), substr($datagram, 64));
    my $id = 1 + int rand 65535;
    return map { packet4($src, $dst, UDP, $_->[0], $_->[1], '', $id) } [ $first, 0x2000 ], [ $later, 8 ] if length $src == 4;
    return map { packet6($src, $dst, FRAGMENT, pack('C C n N', UDP, 0, $_->[1], $id) . $_->[0]) } [ $first, 1 ], [ $later, 64 ];
}

sub transmit {
    my ($dst, $bytes) = @_;
    if (length $dst == 4) {
        if (!$raw4) {
            socket $raw4, AF_INET, SOCK_RAW, IPPROTO_RAW or die "sender: raw socket: $!\n";
            setsockopt $raw4, SOL_IP, IP_NODEFRAG, pack('i', 1) or die "sender: IP_NODEFRAG: $!\n";
        }
        deliver($raw4, $bytes, pack_sockaddr_in(0, $dst));
    }
    else {
        if (!$raw6) { socket $raw6, AF_INET6, SOCK_RAW, IPPROTO_RAW or die "sender: raw socket: $!\n" }
        deliver($raw6, $bytes, pack_sockaddr_in6(0, $dst));
    }
}

# A full queue or a REJECT that came back is no reason to stop.
sub deliver {
    my ($socket, $bytes, $to) = @_;
    for (1 .. 200) {
        return if defined send $socket, $bytes, 0, $to;
        next if $!{ECONNREFUSED} || $!{EHOSTUNREACH} || $!{EACCES} || $!{ENETUNREACH};
        $!{ENOBUFS} || $!{EAGAIN} || $!{EPERM} or die "sender: send: $!\n";
        select undef, undef, undef, 0.001;
    }
    die "sender: send: $!\n";
}

# Small things

sub address { my $t = shift; return inet_pton(AF_INET, $t) // inet_pton(AF_INET6, $t) // die "sender: no address: $t\n" }
sub text_of { my $a = shift; return inet_ntop(length $a == 4 ? AF_INET : AF_INET6, $a) }
sub plus    { my ($a, $k) = @_; my $at = length($a) - 4; return substr($a, 0, $at) . pack 'N', unpack('N', substr $a, $at) + $k }
sub port    { return 1024 + int rand 64000 }
sub random32 { return int rand 0xffffffff }
sub now     { return (POSIX::times())[0] / 100 }

sub own_address {
    my $dst = shift;
    my $v4  = length $dst == 4;
    socket my $probe, $v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0 or die "sender: socket: $!\n";
    connect $probe, $v4 ? pack_sockaddr_in(9, $dst) : pack_sockaddr_in6(9, $dst) or die "sender: no route: $!\n";
    my $name = getsockname $probe;
    return $v4 ? (unpack_sockaddr_in($name))[1] : (unpack_sockaddr_in6($name))[1];
}

sub pseudo {
    my ($src, $dst, $number, $length) = @_;
    return $src . $dst . (length $src == 4 ? pack('n n', $number, $length) : pack('N N', $length, $number));
}

sub checksum {
    my $bytes = shift;
    $bytes .= "\0" if length($bytes) % 2;
    my $sum = unpack '%32n*', $bytes;
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return ~$sum & 0xffff;
}

sub crc32c {
    my $crc = 0xffffffff;
    for my $byte (unpack 'C*', shift) {
        $crc ^= $byte;
        $crc = $crc & 1 ? ($crc >> 1) ^ 0x82f63b78 : $crc >> 1 for 1 .. 8;
    }
    return $crc ^ 0xffffffff;
}
