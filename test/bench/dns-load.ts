import type { LabContainer } from '../lab/container.ts'
import type { Lab } from '../lab/lab.ts'

/** As many as one of them may not ask: a container has a budget. */
const CLIENTS = 4
/** More than is asked in a turn. */
const LINES = 120_000

/** Containers that ask side by side. */
export class DnsLoad {
  private turns = 0

  private constructor(private readonly clients: readonly LabContainer[]) {}

  static async of(lab: Lab): Promise<DnsLoad> {
    return new DnsLoad(await Promise.all(Array.from({ length: CLIENTS }, () => lab.container())))
  }

  /**
   * Answered questions a second, all clients together.
   * @param name of the n-th question as sed has it: `&` stands for the number, TURN for this turn
   */
  async rate(
    server: { readonly address: string; readonly port: number },
    name: string,
    seconds: number,
  ): Promise<number> {
    this.turns += 1
    const rates = await Promise.all(
      this.clients.map(async (client, index) => {
        const own = name.replace('TURN', `t${this.turns}c${index}`)
        await client.exec(['sh', '-c', `seq ${LINES} | sed 's/.*/${own} A/' >/tmp/questions`])
        const { stdout, stderr } = await client.exec(
          [
            'dnsperf',
            '-s',
            server.address,
            '-p',
            String(server.port),
            '-d',
            '/tmp/questions',
            '-l',
            String(seconds),
            '-q',
            '64',
            '-t',
            '2',
          ],
          { timeoutMs: seconds * 1000 + 20_000 },
        )
        const answered = Number(/Response codes:\s+NOERROR (\d+)/.exec(stdout)?.[1])
        const took = Number(/Run time \(s\):\s+([\d.]+)/.exec(stdout)?.[1])
        if (!(answered / took > 0)) throw new Error(`dnsperf: ${stdout}${stderr}`)
        return answered / took
      }),
    )
    return rates.reduce((sum, one) => sum + one, 0)
  }
}

/** One question at a time, in milliseconds each. Every answer has to have an address. */
export async function latencies(
  client: LabContainer,
  server: { readonly address: string; readonly port: number },
  name: string,
  count: number,
): Promise<number[]> {
  const { stdout, stderr } = await client.exec(
    ['perl', '-e', ONE_BY_ONE, server.address, String(server.port), name, String(count)],
    { timeoutMs: 60_000 },
  )
  const found = stdout.trim().split('\n').map(Number)
  if (found.length !== count || found.some((ms) => !(ms >= 0)))
    throw new Error(`asking ${name}: ${stdout.slice(-200)}${stderr}`)
  return found
}

const ONE_BY_ONE = String.raw`
use strict; use Socket; use POSIX ();
# The monotonic clock, for which perl-base has no module.
my $clock = (POSIX::uname())[4] eq 'aarch64' ? 113 : 228;
sub now { my $time = "\0" x 16; syscall($clock, 1, $time); my ($s, $ns) = unpack('qq', $time); $s * 1000 + $ns / 1e6 }
my ($address, $port, $name, $count) = @ARGV;
socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die;
connect($socket, pack_sockaddr_in($port, inet_aton($address))) or die;
for my $number (1 .. $count) {
  (my $own = $name) =~ s/&/$number/;
  my $wire = join('', map { pack('C/a', $_) } split(/\./, $own)) . "\0";
  my $message = pack('n6', $number & 0xffff, 0x0100, 1, 0, 0, 0) . $wire . pack('nn', 1, 1);
  my $start = now();
  send($socket, $message, 0); recv($socket, my $answer, 4096, 0);
  my $ms = now() - $start;
  die "no address for $own" unless unpack('n', substr($answer, 6, 2)) > 0;
  printf "%.3f\n", $ms;
}
`
