import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from 'dns-packet'
import { quantile } from '../../bench/spread.ts'
import type { Service } from '../box.ts'
import type { LabContainer } from '../container.ts'
import type { Lab } from '../lab.ts'
import { INET } from '../topology.ts'

/** What a container that does nothing wrong gets while others do their worst. */
export interface Served {
  readonly dns: Counted
  readonly pages: Counted
}

interface Counted {
  readonly asked: number
  readonly lost: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Asks a name that is in the gateway's cache every 50 ms, each time by a new socket, and fetches a page every 200 ms. */
const CLIENT = `
const { createSocket } = require('node:dgram')
const { get } = require('node:http')
const [server, question, page, waitMs] = process.argv.slice(1)
const say = (kind, startedMs) => console.log(kind + ' ' + (performance.now() - startedMs).toFixed(2))
setInterval(() => {
  const startedMs = performance.now()
  const socket = createSocket('udp4')
  const end = (kind) => { clearTimeout(timer); socket.close(); say(kind, startedMs) }
  const timer = setTimeout(() => end('dns-lost'), Number(waitMs))
  socket.on('message', (answer) => end((answer[3] & 15) === 0 && answer.readUInt16BE(6) > 0 ? 'dns' : 'dns-lost'))
  socket.on('error', () => end('dns-lost'))
  socket.send(Buffer.from(question, 'hex'), 53, server)
}, 50)
setInterval(() => {
  const startedMs = performance.now()
  const request = get(page, { agent: false, timeout: Number(waitMs) }, (response) => {
    response.resume().on('end', () => say('page', startedMs)).on('error', () => say('page-lost', startedMs))
  })
  request.on('timeout', () => request.destroy(new Error('late')))
  request.on('error', () => say('page-lost', startedMs))
}, 200)
`
const WAIT_MS = 3_000

/** A container beside a hostile one, measured from its own network namespace. */
export class Bystander {
  private constructor(private readonly client: Service) {}

  static async start(lab: Lab, container: LabContainer, name: string, page: string): Promise<Bystander> {
    const question = encode({ type: 'query', id: 4711, flags: 0x100, questions: [{ type: 'A', name }] })
    const bystander = new Bystander(
      lab.service('host', [
        'nsenter',
        `--net=/proc/${await container.pid()}/ns/net`,
        'node',
        '-e',
        CLIENT,
        INET.dns,
        question.toString('hex'),
        `http://${page}/`,
        String(WAIT_MS),
      ]),
    )
    await lab.waitFor('the neighbour is served', () => /^dns [^]*^page /m.test(bystander.client.log))
    return bystander
  }

  /** What it got while this went on. */
  async during(work: () => Promise<unknown>): Promise<Served> {
    const from = this.client.log.length
    await work()
    // What was asked last is answered, or is lost.
    await sleep(WAIT_MS + 200)
    const lines = this.client.log
      .slice(from)
      .split('\n')
      .flatMap((line) => {
        const [, kind, ms] = /^(\S+) ([\d.]+)$/.exec(line) ?? []
        return kind === undefined ? [] : [{ kind, ms: Number(ms) }]
      })
    const of = (kind: string): Counted => {
      const delays = lines.filter((line) => line.kind === kind).map(({ ms }) => ms)
      const lost = lines.filter((line) => line.kind === `${kind}-lost`).length
      return {
        asked: delays.length + lost,
        lost,
        p50Ms: quantile(delays, 0.5),
        p99Ms: quantile(delays, 0.99),
      }
    }
    return { dns: of('dns'), pages: of('page') }
  }

  async stop(): Promise<void> {
    await this.client.stop('SIGKILL')
  }
}

/** 500 sockets ask as fast as they can, half of it for names that nobody knows. */
const QUESTIONS = `
  my ($server, $seconds, @names) = @ARGV;
  my $to = sockaddr_in(53, inet_aton($server));
  my @sockets = map { socket(my $one, PF_INET, SOCK_DGRAM, 0); fcntl($one, 4, 2048); $one } 1 .. 500;
  my ($end, $sent, $answer) = (time + $seconds, 0);
  while (time < $end) {
    for my $socket (@sockets) {
      my $name = $names[$sent % @names];
      $name =~ s/%/$sent/;
      my $question = pack('n6', $sent & 65535, 256, 1, 0, 0, 0)
        . join('', map { pack('C/a', $_) } split(/\\./, $name)) . pack('Cn2', 0, 1, 1);
      send($socket, $question, 0, $to);
      recv($socket, $answer, 4096, 0);
      $sent++;
    }
  }
  print $sent;
`

/** Connects again and again to the gateway and says nothing, or half a question. */
const SILENCE = `
  $SIG{PIPE} = 'IGNORE';
  my ($server, $seconds) = @ARGV;
  my $to = sockaddr_in(53, inet_aton($server));
  my ($end, $made, @held) = (time + $seconds, 0);
  while (time < $end) {
    socket(my $one, PF_INET, SOCK_STREAM, 0) or next;
    fcntl($one, 4, 2048);
    connect($one, $to);
    push @held, $one;
    shift @held if @held > 900;
    for my $other (@held > 200 ? @held[-200 .. -1] : @held) { syswrite($other, "\\0") }
    $made++;
    select(undef, undef, undef, 0.002);
  }
  print $made;
`

/** Connections to the page of metrics that say nothing, and others that ask for it a hundred times in a packet. */
const SCRAPES = `
  $SIG{PIPE} = 'IGNORE';
  my ($port, $seconds) = @ARGV;
  my $to = sockaddr_in($port, inet_aton('127.0.0.1'));
  my $ask = "GET /metrics HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n";
  my ($end, $made, @held) = (time + $seconds, 0);
  while (time < $end) {
    socket(my $one, PF_INET, SOCK_STREAM, 0) or next;
    fcntl($one, 4, 2048);
    connect($one, $to);
    push @held, $one;
    shift @held if @held > 128;
    select(undef, undef, undef, 0.002);
    syswrite($one, $made % 2 ? $ask : $ask x 100) if $made % 4;
    $made++;
  }
  print $made;
`

const perl = (program: string, ...args: readonly string[]): string[] => [
  'perl',
  '-MSocket',
  '-e',
  program,
  ...args,
]

/** A container without capabilities. Returns how many questions it sent and connections it made. */
export async function containerAtItsWorst(
  lab: Lab,
  hostile: LabContainer,
  seconds: number,
): Promise<readonly number[]> {
  const options = { timeoutMs: (seconds + 10) * 1000 }
  const run = async (program: string, ...args: string[]): Promise<number> =>
    Number((await hostile.exec(perl(program, INET.dns, String(seconds), ...args), options)).stdout)
  const names = ['allowed.example', 'x%.forbidden.example', 'y%.many.example', 'allowed.example']
  const [asked, connected] = await Promise.all([
    run(QUESTIONS, ...names),
    run(SILENCE),
    restartsOfBlankFiles(lab, seconds),
  ])
  return [asked, connected]
}

/** Its resolv.conf becomes 64 KiB of line ends, and the daemon looks at it with each start. */
async function restartsOfBlankFiles(lab: Lab, seconds: number): Promise<void> {
  const script = "yes '' | head -c 65000 >/etc/resolv.conf; sleep 0.2; exit 1"
  const container = await lab.container({
    restart: 'always',
    host: { CapDrop: ['ALL'] },
    cmd: ['sh', '-c', script],
  })
  await sleep(seconds * 1000)
  await container.stop()
}

/** A user of the host without rights. Returns how many connections it made. */
export async function localUserAtItsWorst(lab: Lab, seconds: number): Promise<number> {
  const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--']
  const { stdout } = await lab.host(
    [...user, ...perl(SCRAPES, '9464', String(seconds))] as [string, ...string[]],
    {
      timeoutMs: (seconds + 10) * 1000,
    },
  )
  return Number(stdout)
}

/** A name server whose every answer has as many addresses as fit, never the same; somebody who may ask for its names does. */
export async function nameServerAtItsWorst(lab: Lab, asker: LabContainer, seconds: number): Promise<number> {
  await lab.inet.dns({ '*.many.example': { truncate: true, freshAddresses: 1_400, ttl: 1 } })
  const program = QUESTIONS.replace('1 .. 500', '1 .. 20').replace(
    '$sent++;',
    '$sent++; select(undef, undef, undef, 0.005);',
  )
  const { stdout } = await asker.exec(perl(program, INET.dns, String(seconds), 'z%.many.example'), {
    timeoutMs: (seconds + 10) * 1000,
  })
  return Number(stdout)
}
