#!/usr/bin/perl
# The first process of a container of the leak meter; what it did stands in a file that the host reads.
#
#   traffic.pl flood --rate=R --file=F --base=A --base6=A
#       R packets a second, IPv4 and IPv6, UDP and SYN in turns, each from a fresh source port: UDP to BASE + 1, SYN
#       to BASE + 2; every two seconds the odd packets of `sender` to BASE + 64 and on.
#       F: packets sent of IPv4, of IPv6, odd ones
#   traffic.pl fetch --rate=R --file=F --name=N --family=4|6 [--once]
#       R times a second: asks for the name, connects, fetches a page; with --once the name is asked for but once. Beside
#       that one connection stays on which the far end sends all the time; when it ends or rests for 3 s, it has failed.
#       F: requests begun, up to which all are decided, fetched, failed, fetched late, times that
#       something came on the connection that stays; F.failures: why
#
# A container that the engine starts again goes on counting where it was.
use strict;
use warnings;
use POSIX ();
use Errno qw(EINPROGRESS EAGAIN);
use Fcntl qw(O_RDWR O_CREAT O_WRONLY O_APPEND F_SETFL O_NONBLOCK);
use Socket qw(inet_pton inet_ntop pack_sockaddr_in pack_sockaddr_in6 unpack_sockaddr_in unpack_sockaddr_in6 AF_INET AF_INET6
  SOCK_RAW SOCK_DGRAM SOCK_STREAM SOL_SOCKET SO_ERROR);

use constant { TCP => 6, UDP => 17, IPPROTO_RAW => 255 };
# Late is what needed a second SYN, or a second question: the kernel sends those after a second.
use constant { WIDTH => 12, LIMIT_S => 3, LATE_MS => 900 };

$| = 1;
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
my $command = shift // '';
my %option;
for (@ARGV) {
    /^--([a-z0-9]+)(?:=(.*))?$/ or die "traffic: what is $_?\n";
    $option{$1} = $2 // 1;
}
sysopen my $file, $option{file}, O_RDWR | O_CREAT or die "traffic: $option{file}: $!\n";
sysread $file, my $text, 200;
my @count = map { $_ + 0 } grep { /\d/ } split /\s+/, $text // '';

if    ($command eq 'flood') { flood() }
elsif ($command eq 'fetch') { fetch() }
else                        { die "usage: traffic.pl flood|fetch …\n" }

sub flood {
    $count[$_] //= 0 for 0 .. 2;
    my @kinds = ();
    my ($port, $sent, $start, $nextOdd) = (1024, 0, now(), now() + 1);
    while (1) {
        # The addresses come a moment after the first instruction.
        @kinds = grep { defined } map { kind(@$_) } [ 4, UDP ], [ 4, TCP ], [ 6, UDP ], [ 6, TCP ] if @kinds < 4;
        my $due = int((now() - $start) * $option{rate});
        # After a long sleep it is not made up for.
        $sent = $due - $option{rate} if $sent < $due - $option{rate};
        my $burst = 0;
        for (; $sent < $due && @kinds && $burst < 500; $sent++, $burst++) {
            my $kind = $kinds[ $sent % @kinds ];
            if ($sent % @kinds == 0) { $port = $port >= 65535 ? 1024 : $port + 1 }
            # The other field keeps the sum of both, and with it the checksum, as it is.
            substr($kind->{bytes}, $kind->{port}, 2) = pack 'n', $port;
            substr($kind->{bytes}, $kind->{other}, 2) = pack 'n', 0xffff ^ $port;
            $count[ $kind->{index} ]++ if defined send $kind->{socket}, $kind->{bytes}, 0, $kind->{to};
        }
        $sent = $due unless @kinds;
        if (now() >= $nextOdd) {
            $nextOdd = now() + 2;
            $count[2] += $_ for `sender odd --dst=$option{base}64 --dst6=$option{base6}64 2>/dev/null` =~ /"sent":(\d+)/g;
        }
        report();
        select undef, undef, undef, 0.005 if $burst < 500;
    }
}

# One packet as bytes, and where its source port stands; undefined without an address of the family.
sub kind {
    my ($family, $protocol) = @_;
    my $v4 = $family == 4;
    my $last = $protocol == UDP ? 1 : 2;
    my $dst  = inet_pton($v4 ? AF_INET : AF_INET6, ($v4 ? $option{base} : $option{base6}) . $last);
    socket my $probe, $v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0 or return;
    connect $probe, $v4 ? pack_sockaddr_in(9, $dst) : pack_sockaddr_in6(9, $dst) or return;
    my (undef, $src) = $v4 ? unpack_sockaddr_in(getsockname $probe) : unpack_sockaddr_in6(getsockname $probe);
    my $payload = 'secret that must not leave';
    my $segment =
        $protocol == UDP
      ? pack('n n n n n', 0, 9999, 10 + length $payload, 0, 0xffff) . $payload
      : pack('n n n n N C C n n n', 0, 9999, 0, 0xffff, 0, 5 << 4, 2, 64240, 0, 0);
    my $pseudo = $src . $dst . pack 'N N', length $segment, $protocol;
    substr($segment, $protocol == UDP ? 6 : 16, 2) = pack 'n', checksum($pseudo . $segment) || 0xffff;
    my $header =
        $v4
      ? pack('C C n n n C C n', 0x45, 0, 20 + length $segment, 0, 0, 64, $protocol, 0) . $src . $dst
      : pack('N n C C', 6 << 28, length $segment, $protocol, 64) . $src . $dst;
    socket my $raw, $v4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW or die "traffic: raw socket: $!\n";
    my $at = length $header;
    return {
        bytes => $header . $segment, port => $at, other => $at + ($protocol == UDP ? 8 : 6), socket => $raw,
        to => $v4 ? pack_sockaddr_in(0, $dst) : pack_sockaddr_in6(0, $dst), index => $v4 ? 0 : 1,
    };
}

sub checksum {
    my $bytes = shift;
    $bytes .= "\0" if length($bytes) % 2;
    my $sum = unpack '%32n*', $bytes;
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return ~$sum & 0xffff;
}

my ($server, $known, $last, $live, %open);

sub fetch {
    $count[$_] //= 0 for 0 .. 5;
    # What was under way when the container ended nobody waits for.
    $count[1] = $count[0];
    open my $resolv, '<', '/etc/resolv.conf' or die "traffic: resolv.conf: $!\n";
    /^nameserver\s+(\S+)/ and $server //= $1 while <$resolv>;
    $known = ask_once() if $option{once};
    my $next = now();
    while (1) {
        if (now() >= $next) {
            $next += 1 / $option{rate};
            $next = now() if $next < now() - 1;
            begin();
        }
        $live //= open_live($last) if defined $last;
        my ($reading, $writing) = ('', '');
        vec($live->{asked} ? $reading : $writing, fileno $live->{socket}, 1) = 1 if $live;
        for my $one (values %open) {
            my $bits = $one->{state} eq 'connect' ? \$writing : \$reading;
            vec($$bits, fileno $one->{socket}, 1) = 1;
        }
        select $reading, $writing, undef, 0.01;
        go_on_live(vec $live->{asked} ? $reading : $writing, fileno $live->{socket}, 1) if $live;
        for my $one (values %open) {
            if (vec($reading, fileno $one->{socket}, 1) || vec($writing, fileno $one->{socket}, 1)) { go_on($one) }
            elsif (now() - $one->{begun} > LIMIT_S) { decide($one, "no end in $one->{state}") }
            elsif ($one->{state} eq 'ask' && now() - $one->{asked} > 1) { question($one) }
        }
        $count[1] = $count[0];
        for (keys %open) { $count[1] = $_ - 1 if $_ - 1 < $count[1] }
        report();
    }
}

sub begin {
    my $one = { number => ++$count[0], begun => now(), state => 'ask' };
    $open{ $one->{number} } = $one;
    return connect_to($one, $known) if defined $known;
    socket $one->{socket}, AF_INET, SOCK_DGRAM, 0 or return decide($one, "socket: $!");
    question($one);
}

sub question {
    my $one = shift;
    $one->{asked} = now();
    my $labels = join '', map { pack 'C/a', $_ } split /\./, $option{name};
    my $type = $option{family} == 4 ? 1 : 28;
    my $bytes = pack('n6', $one->{number} & 0xffff, 0x0100, 1, 0, 0, 0) . $labels . pack 'C n n', 0, $type, 1;
    send $one->{socket}, $bytes, 0, pack_sockaddr_in(53, inet_pton(AF_INET, $server)) or $one->{why} = "asking: $!";
}

sub go_on {
    my $one = shift;
    if ($one->{state} eq 'ask') {
        return if !defined recv $one->{socket}, my $answer, 1500, 0;
        my ($id, $flags, undef, $answers) = unpack 'n4', $answer;
        return decide($one, sprintf 'answer with code %d and %d records', $flags & 15, $answers) if $flags & 15 || $answers != 1;
        # One record, and its data stands last.
        return connect_to($one, substr $answer, $option{family} == 4 ? -4 : -16);
    }
    if ($one->{state} eq 'connect') {
        my $error = unpack 'i', getsockopt $one->{socket}, SOL_SOCKET, SO_ERROR;
        if ($error) { local $! = $error; return decide($one, "connecting: $!") }
        syswrite $one->{socket}, "GET / HTTP/1.0\r\nHost: $option{name}\r\n\r\n" or return decide($one, "asking for the page: $!");
        $one->{state} = 'read';
        return;
    }
    my $got = sysread $one->{socket}, $one->{page}, 4096, length($one->{page} // '');
    return if !defined $got && $!{EAGAIN};
    return decide($one, "reading: $!") if !defined $got;
    decide($one, ($one->{page} // '') =~ /hello from/ ? undef : 'no page') if $got == 0;
}

sub open_live {
    my $address = shift;
    my $v4 = $option{family} == 4;
    socket my $socket, $v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0 or return;
    my $to = $v4 ? pack_sockaddr_in(80, $address) : pack_sockaddr_in6(80, $address);
    fcntl $socket, F_SETFL, O_NONBLOCK;
    connect($socket, $to) || $!{EINPROGRESS} or return fail_live("connecting the live connection: $!");
    return { socket => $socket, heard => now() };
}

sub go_on_live {
    my $ready = shift;
    if ($ready && !$live->{asked}) {
        syswrite $live->{socket}, "GET /stream HTTP/1.0\r\n\r\n" or return fail_live("asking on the live connection: $!");
        $live->{asked} = 1;
    }
    elsif ($ready) {
        my $got = sysread $live->{socket}, my $line, 4096;
        return fail_live('the live connection ended') if defined $got ? !$got : !$!{EAGAIN};
        $live->{heard} = now();
        $count[5]++;
    }
    fail_live('nothing came on the live connection') if now() - $live->{heard} > LIMIT_S;
}

sub fail_live {
    my $why = shift;
    # The next page that is fetched shows that it is worth trying again.
    ($live, $last) = ();
    failed($why);
    return;
}

sub connect_to {
    my ($one, $address) = @_;
    $one->{address} = $address;
    my $v4 = $option{family} == 4;
    socket $one->{socket}, $v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0 or return decide($one, "socket: $!");
    fcntl $one->{socket}, F_SETFL, O_NONBLOCK;
    $one->{state} = 'connect';
    my $to = $v4 ? pack_sockaddr_in(80, $address) : pack_sockaddr_in6(80, $address);
    connect($one->{socket}, $to) || $!{EINPROGRESS} or decide($one, "connecting: $!");
}

sub decide {
    my ($one, $why) = @_;
    delete $open{ $one->{number} };
    my $ms = int 1000 * (now() - $one->{begun});
    if (!defined $why) {
        $count[2]++;
        $count[4]++ if $ms > LATE_MS;
        $last = $one->{address};
        return;
    }
    failed("$why after $ms ms");
}

sub failed {
    my $why = shift;
    $count[3]++;
    sysopen my $failures, "$option{file}.failures", O_WRONLY | O_CREAT | O_APPEND or return;
    syswrite $failures, "IPv$option{family}: $why\n";
}

# Until there is an answer: the network may be a moment late.
sub ask_once {
    while (1) {
        my %one = (number => 1, begun => now(), state => 'ask');
        socket $one{socket}, AF_INET, SOCK_DGRAM, 0 or die "traffic: socket: $!\n";
        question(\%one);
        my $reading = '';
        vec($reading, fileno $one{socket}, 1) = 1;
        next if !select $reading, undef, undef, 0.5;
        next if !defined recv $one{socket}, my $answer, 1500, 0;
        my (undef, $flags, undef, $answers) = unpack 'n4', $answer;
        return substr $answer, $option{family} == 4 ? -4 : -16 if !($flags & 15) && $answers == 1;
        select undef, undef, undef, 0.2;
    }
}

# Always as long as before: a reader never sees half of it.
sub report {
    sysseek $file, 0, 0;
    syswrite $file, join('', map { sprintf '%*d', WIDTH, $_ } @count) . "\n";
}

# Ticks of the kernel, a hundred a second: no clock that somebody sets.
sub now { return (POSIX::times())[0] / 100 }
