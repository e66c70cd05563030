# First process of a box: reaps what is orphaned there, and ends (and with it all others) when standard
# input closes, unless it was told to keep the box.
$| = 1;
$SIG{CHLD} = 'IGNORE';
print "ready\n";
my $keep = 0;
while (defined(my $line = <STDIN>)) { $keep = 1 if $line eq "keep\n" }
while ($keep) { sleep 3600 }
