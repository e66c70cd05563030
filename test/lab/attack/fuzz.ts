import type { Random } from '../soak/random.ts'
import { HOST, INET } from '../topology.ts'
import type { Attack } from './attack.ts'
import type { Attacker } from './attacker.ts'
import { setBridgeNetfilter } from './bridge-netfilter.ts'
import { describeFrames } from './describe.ts'
import {
  ETHERTYPE,
  type Ethernet,
  frame,
  mplsFrame,
  pppoeFrame,
  RESERVED_MACS,
  snapFrame,
  type Tag,
} from './frame.ts'
import { randomPacket } from './fuzz-packet.ts'

const SERVICE = 9999
const FRAMES = { whole: 10_000, quick: 2_000 } as const

const FORBIDDEN = ['203.0.113.66', '198.18.0.9', '192.168.77.7', '2001:db8:f::66'] as const
const METADATA = [INET.metadata, '168.63.129.16', INET.metadata6] as const
const OF_HOST = [HOST.address, HOST.address6, '127.0.0.1', '::1'] as const
const GROUPS = ['224.0.0.1', '239.1.2.3', '255.255.255.255', 'ff02::1', 'ff02::2', 'ff05::3'] as const

/** Random frames from a container that may nothing: no byte of them comes out of the host, and no service of the host gets one. */
const fuzz = (name: string, words: string, netfilter: 0 | 1, quick?: true): Attack => ({
  name,
  seat: 'container',
  words,
  shows: 'one of them, or an answer that carries its payload, comes out of the host',
  ...(quick ? { quick } : {}),
  async play(scene) {
    await setBridgeNetfilter(scene, netfilter)
    const place = await scene.network('fuzz')
    const attacker = await scene.attacker('fuzz', place)
    const neighbour = await scene.attacker('fuzz', place)
    await scene.guard()
    const far = await scene.farEnd()
    const service = await scene.hostService(SERVICE)
    const frames = randomFrames(
      scene.random,
      scene.quick ? FRAMES.quick : FRAMES.whole,
      attacker,
      neighbour,
      scene.secret,
    )
    const sent = await attacker.send(frames, 4000)
    const [out, into] = [await far.count(1000), await service.count()]
    return {
      sent,
      arrived: out.count + into.count,
      details: [
        `${out.count} at the far end`,
        `${into.count} at a service of the host`,
        ...describeFrames(out.first),
      ],
    }
  },
})

export const FUZZ: readonly Attack[] = [
  fuzz(
    'fuzz',
    'random frames: reserved and other hardware addresses, tags, types, options, fragments, extension headers, forged sources',
    0,
    true,
  ),
  fuzz('fuzz-netfilter', 'the same where bridged frames pass iptables, within tags too', 1),
]

function randomFrames(
  random: Random,
  count: number,
  attacker: Attacker,
  neighbour: Attacker,
  secret: Buffer,
): readonly Buffer[] {
  const { gateway, gateway6, bridgeMac } = attacker.place
  const pool = {
    secret,
    ports: [SERVICE, SERVICE, 53, 80, 443, 25],
    sources: [
      attacker.address,
      attacker.address6,
      neighbour.address,
      neighbour.address6,
      gateway,
      gateway6,
      ...FORBIDDEN,
      ...OF_HOST,
      '0.0.0.0',
      '::',
      'fe80::99',
    ],
    destinations: [
      ...FORBIDDEN,
      ...METADATA,
      ...OF_HOST,
      gateway,
      gateway6,
      neighbour.address,
      neighbour.address6,
      ...GROUPS,
    ],
  }
  const elsewhere = [
    neighbour.mac,
    '02:00:00:00:00:99',
    'ff:ff:ff:ff:ff:ff',
    '01:00:5e:00:00:01',
    '33:33:00:00:00:01',
  ]
  const forgedMacs = [neighbour.mac, '02:00:00:00:00:42', bridgeMac]
  const frames: Buffer[] = []
  while (frames.length < count) {
    const dst = random.pick([bridgeMac, bridgeMac, random.pick(RESERVED_MACS), random.pick(elsewhere)])
    // A frame of the wrong sender is mostly stopped for that alone.
    const ethernet = { src: random.below(6) === 0 ? random.pick(forgedMacs) : attacker.mac, dst }
    const family = random.below(2) === 0 ? 4 : 6
    for (const packet of randomPacket(random, family, pool))
      frames.push(randomFrame(random, ethernet, packet))
  }
  return frames.slice(0, count)
}

function randomFrame(random: Random, ethernet: Ethernet, packet: Buffer): Buffer {
  switch (random.below(12)) {
    case 0:
      return snapFrame(ethernet, packet)
    case 1:
      return pppoeFrame(ethernet, packet)
    case 2:
      return mplsFrame(ethernet, packet)
    case 3:
      return frame(
        ethernet,
        packet,
        [],
        random.pick([ETHERTYPE.eapol, ETHERTYPE.arp, 0x88cc, 0x0806, random.below(65_536)]),
      )
    case 4:
    case 5:
    case 6:
      return frame(ethernet, packet, randomTags(random))
    default:
      return frame(ethernet, packet)
  }
}

function randomTags(random: Random): readonly Tag[] {
  const types = [ETHERTYPE.vlan, ETHERTYPE.providerVlan]
  return Array.from({ length: 1 + random.below(2) }, () => ({
    type: random.pick(types),
    id: random.pick([0, 1, 7, 4094]),
    priority: random.below(8),
  }))
}
