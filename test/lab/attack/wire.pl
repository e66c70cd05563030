#!/usr/bin/perl
# Frames on an interface, as a hostile container with NET_RAW writes and reads them.
#
#   wire send IFACE FILE [RATE]     sends each line of the file (hex) as one frame; prints {"sent":N}
#   wire watch IFACE SECRET         says "ready", counts incoming frames that carry the secret (hex) until SIGTERM,
#                                   then prints {"count":N,"first":[HEX,…]}
#   wire listen PORT SECRET         the same for datagrams that a socket on this UDP port gets
#   wire reply SECRET SECONDS       answers each UDP datagram and TCP connection to port 7777 with the secret
use strict;
use warnings;
use Socket qw(:DEFAULT pack_sockaddr_in6 inet_pton AF_INET6 PF_INET6 IPPROTO_TCP);

use constant { AF_PACKET => 17, ETH_P_ALL => 3, SIOCGIFINDEX => 0x8933, SO_RCVBUFFORCE => 33, OUTGOING => 4 };
use constant SAMPLES => 8;

my ($command, @rest) = @ARGV;
my %commands = (send => \&send_frames, watch => \&watch, listen => \&listen_to, reply => \&reply);
($commands{ $command // '' } // die "usage: wire send|watch|listen|reply …\n")->(@rest);

sub send_frames {
    my ($interface, $file, $rate) = @_;
    $rate ||= 2000;
    my ($socket, $index) = raw($interface, 0);
    my $to = sockaddr_ll(0, $index);
    open my $frames, '<', $file or die "wire: $file: $!\n";
    my ($sent, $batch) = (0, int($rate / 100) + 1);
    while (my $line = <$frames>) {
        chomp $line;
        transmit($socket, pack('H*', $line), $to);
        $sent++;
        select undef, undef, undef, 0.01 if $sent % $batch == 0;
    }
    print "{\"sent\":$sent}\n";
}

# A full queue passes; what the interface refuses for its size or state is not sent.
sub transmit {
    my ($socket, $frame, $to) = @_;
    for (1 .. 200) {
        return if defined send $socket, $frame, 0, $to;
        return unless $!{ENOBUFS} || $!{EAGAIN};
        select undef, undef, undef, 0.001;
    }
}

sub watch {
    my ($interface, $secret) = @_;
    my ($socket, $index) = raw($interface, ETH_P_ALL);
    bind $socket, sockaddr_ll(ETH_P_ALL, $index) or die "wire: bind: $!\n";
    count($socket, $secret, sub { unpack('x10 C', shift) != OUTGOING });
}

sub listen_to {
    my ($port, $secret) = @_;
    socket my $socket, PF_INET6, SOCK_DGRAM, 0 or die "wire: socket: $!\n";
    bind $socket, pack_sockaddr_in6($port, inet_pton(AF_INET6, '::')) or die "wire: bind: $!\n";
    count($socket, $secret, sub { 1 });
}

sub count {
    my ($socket, $secret, $wanted) = @_;
    setsockopt $socket, SOL_SOCKET, SO_RCVBUFFORCE, pack('i', 64 << 20);
    my $bytes = pack 'H*', $secret;
    my ($count, @first) = (0);
    my $ended = 0;
    local $SIG{TERM} = sub { $ended = 1 };
    $| = 1;
    print "ready\n";
    while (!$ended) {
        my $readable = '';
        vec($readable, fileno $socket, 1) = 1;
        next if select($readable, undef, undef, 0.2) < 1;
        my $from = recv $socket, my $frame, 65536, 0;
        next if !defined $from || !$wanted->($from) || index($frame, $bytes) < 0;
        $count++;
        push @first, unpack('H*', substr $frame, 0, 80) if @first < SAMPLES;
    }
    printf "{\"count\":%d,\"first\":[%s]}\n", $count, join ',', map { "\"$_\"" } @first;
}

# The accomplice inside: whoever comes is told the secret.
sub reply {
    my ($secret, $seconds) = @_;
    my $bytes = pack 'H*', $secret;
    my $any = pack_sockaddr_in6(7777, inet_pton(AF_INET6, '::'));
    socket my $udp, PF_INET6, SOCK_DGRAM, 0 or die "wire: socket: $!\n";
    socket my $tcp, PF_INET6, SOCK_STREAM, IPPROTO_TCP or die "wire: socket: $!\n";
    setsockopt $tcp, SOL_SOCKET, SO_REUSEADDR, pack('i', 1);
    bind $_, $any or die "wire: bind: $!\n" for $udp, $tcp;
    listen $tcp, 20 or die "wire: listen: $!\n";
    my $end = time + $seconds;
    while (time < $end) {
        my $readable = '';
        vec($readable, fileno $_, 1) = 1 for $udp, $tcp;
        next if select($readable, undef, undef, 0.2) < 1;
        if (vec $readable, fileno $udp, 1) {
            my $from = recv $udp, my $question, 65536, 0;
            send $udp, $bytes, 0, $from if defined $from;
        }
        if (vec($readable, fileno $tcp, 1) && accept my $client, $tcp) { syswrite $client, $bytes }
    }
}

sub raw {
    my ($interface, $protocol) = @_;
    socket my $socket, AF_PACKET, SOCK_RAW, unpack('S', pack 'n', $protocol) or die "wire: packet socket: $!\n";
    my $request = pack 'Z16 x24', $interface;
    ioctl $socket, SIOCGIFINDEX, $request or die "wire: $interface: $!\n";
    return ($socket, unpack 'x16 i', $request);
}

sub sockaddr_ll { my ($protocol, $index) = @_; return pack 'S n i S C C a8', AF_PACKET, $protocol, $index, 0, 0, 0, '' }
