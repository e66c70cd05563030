#!/usr/bin/perl
# A name server that costs next to nothing: `responder.pl ADDRESS PORT` answers every question for an address at once. Names that begin
# with `k` have one of four addresses in turn, all others one that no answer had before, which nobody may keep: what is promised takes room.
use strict;
use warnings;
use Socket qw(inet_aton pack_sockaddr_in AF_INET SOCK_DGRAM SOL_SOCKET SO_RCVBUF);

my ($address, $port) = @ARGV;
socket my $socket, AF_INET, SOCK_DGRAM, 0 or die "responder: $!\n";
setsockopt $socket, SOL_SOCKET, SO_RCVBUF, 4 << 20 or die "responder: $!\n";
bind $socket, pack_sockaddr_in($port, inet_aton($address)) or die "responder: $!\n";

use constant TTL => 300;
my @known = map { inet_aton("203.0.113.$_") } 201 .. 204;
sub record { "\xc0\x0c\0\1\0\1" . pack('N', $_[0]) . "\0\4" }
my ($kept, $fleeting) = (record(TTL), record(0));
my $count = 0;
while (1) {
    my $from = recv($socket, my $question, 512, 0) or next;
    # No label holds a zero, so the first one ends the name.
    my $end = index($question, "\0", 12) + 5;
    next if $end < 17 || length $question < $end;
    my $asked = substr $question, 12, $end - 12;
    my $isAddress = substr($asked, -4) eq "\0\1\0\1";
    $count++;
    my $answer = lc substr($asked, 1, 1) eq 'k' ? $kept . $known[$count & 3] : $fleeting . pack 'N', 0x14000000 | $count & 0xffffff;
    my $head = substr($question, 0, 2) . "\x81\x80\0\1" . ($isAddress ? "\0\1" : "\0\0") . "\0\0\0\0";
    send $socket, $head . $asked . ($isAddress ? $answer : ''), 0, $from;
}
