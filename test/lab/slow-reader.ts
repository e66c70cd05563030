import type { Service } from './box.ts'
import type { LabContainer } from './container.ts'
import type { Lab } from './lab.ts'

/** Takes connections and reads nothing of them until it is told to by a signal; then it says how many bytes came. */
const SERVER = `
const [address, port] = process.argv.slice(1)
const sockets = []
let bytes = 0
require('node:net').createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
  sockets.push(socket)
  socket.on('error', () => undefined)
}).listen(Number(port), address, () => console.log('listening'))
process.on('SIGUSR2', () => {
  for (const socket of sockets) socket.on('data', (data) => (bytes += data.length)).resume()
})
setInterval(() => console.log('bytes ' + bytes), 100)
`

/** Writes until nothing more fits into the socket, and ends: the kernel keeps what was not taken yet. */
const WRITER = `
  socket(my $to, PF_INET, SOCK_STREAM, 0);
  alarm 5;
  connect($to, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die "no connection: $!";
  fcntl($to, 4, 2048);
  my ($written, $chunk) = (0, "x" x 65536);
  for my $turn (1 .. 20) {
    while (my $size = syswrite($to, $chunk)) { $written += $size }
    select(undef, undef, undef, 0.05);
  }
  print $written;
`

/** A server of the little internet that is slow on purpose, so that a container's data outlives the process that wrote it. */
export class SlowReader {
  private constructor(
    private readonly service: Service,
    private readonly address: string,
    private readonly port: number,
  ) {}

  static async start(lab: Lab, address: string, port = 7777): Promise<SlowReader> {
    const service = lab.service('internet', ['node', '-e', SERVER, address, String(port)])
    const reader = new SlowReader(service, address, port)
    await lab.waitFor('the slow server listens', () => service.log.includes('listening'))
    return reader
  }

  /** Returns how many bytes a process in the container has written before it ended. */
  async writtenFrom(container: LabContainer): Promise<number> {
    const { stdout, stderr } = await container.exec([
      'perl',
      '-MSocket',
      '-e',
      WRITER,
      this.address,
      String(this.port),
    ])
    if (!/^\d+$/.test(stdout)) throw new Error(`writing to ${this.address}: ${stderr}`)
    return Number(stdout)
  }

  read(): void {
    this.service.signal('SIGUSR2')
  }

  get bytes(): number {
    return Number(/bytes (\d+)(?![^]*bytes)/.exec(this.service.log)?.[1] ?? 0)
  }

  async stop(): Promise<void> {
    await this.service.stop('SIGKILL')
  }
}
