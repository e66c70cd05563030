import { HOST } from '../topology.ts'
import type { Attack } from './attack.ts'
import type { Attacker } from './attacker.ts'
import { setBridgeNetfilter } from './bridge-netfilter.ts'
import { describeFrames } from './describe.ts'
import { ETHERTYPE, type Ethernet, frame, mplsFrame, pppoeFrame, RESERVED_MACS, snapFrame } from './frame.ts'
import { datagram, echo } from './packet.ts'

const FAR = { 4: '203.0.113.66', 6: '2001:db8:f::66' } as const
const UPLINK = { 4: HOST.address, 6: HOST.address6 } as const
const SERVICE = 9999

/** Every way to wrap a packet in a frame that is not the plain one. */
const WRAPPINGS: readonly ((ethernet: Ethernet, packet: Buffer) => Buffer)[] = [
  (ethernet, packet) => frame(ethernet, packet),
  (ethernet, packet) => frame(ethernet, packet, [{ id: 0 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ id: 0, priority: 7 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ id: 1 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ id: 7 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ type: ETHERTYPE.providerVlan, id: 0 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ type: ETHERTYPE.providerVlan, id: 7 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ id: 0 }, { id: 0 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ type: ETHERTYPE.providerVlan, id: 0 }, { id: 0 }]),
  (ethernet, packet) => frame(ethernet, packet, [{ type: ETHERTYPE.providerVlan, id: 7 }, { id: 7 }]),
  snapFrame,
  pppoeFrame,
  mplsFrame,
  (ethernet, packet) => frame(ethernet, packet, [], ETHERTYPE.eapol),
  (ethernet, packet) => frame(ethernet, packet, [], ETHERTYPE.arp),
]

const MULTICAST = [
  '01:00:5e:00:00:01',
  '01:00:5e:7f:ff:fa',
  '33:33:00:00:00:01',
  '33:33:ff:00:00:01',
  'ff:ff:ff:ff:ff:ff',
]

/** To the bridge, to a neighbour, to nobody, to groups, and to some of the reserved addresses. */
const destinations = (attacker: Attacker, neighbour: Attacker): readonly string[] => [
  attacker.place.bridgeMac,
  neighbour.mac,
  '02:00:00:00:00:99',
  ...MULTICAST,
  ...RESERVED_MACS.filter((mac) => /[03e]$/.test(mac)),
]

/** What must not come out, and what no service of the host may get. */
function packets(attacker: Attacker, secret: Buffer): readonly Buffer[] {
  return ([4, 6] as const).flatMap((family) => {
    const own = attacker.own(family)
    return [
      datagram({ src: own, dst: FAR[family] }, 4000, SERVICE, secret),
      echo({ src: FAR[family], dst: UPLINK[family] }, secret),
      datagram({ src: own, dst: UPLINK[family] }, 4000, SERVICE, secret),
      datagram({ src: own, dst: attacker.gateway(family) }, 4000, SERVICE, secret),
    ]
  })
}

const wrapped = (name: string, words: string, netfilter: 0 | 1, quick?: true): Attack => ({
  name,
  seat: 'container',
  words,
  shows: 'a packet in a frame of another kind comes out of the host, or to a service of it',
  ...(quick ? { quick } : {}),
  async play(scene) {
    await setBridgeNetfilter(scene, netfilter)
    const place = await scene.network('wrapped')
    const attacker = await scene.attacker('wrapped', place)
    const neighbour = await scene.attacker('wrapped', place)
    await scene.guard()
    const far = await scene.farEnd()
    const service = await scene.hostService(SERVICE)
    const frames = destinations(attacker, neighbour).flatMap((dst) =>
      packets(attacker, scene.secret).flatMap((packet) =>
        WRAPPINGS.map((wrap) => wrap(attacker.ethernet({ dst }), packet)),
      ),
    )
    const sent = await attacker.send(frames, 4000)
    const [out, into] = [await far.count(), await service.count()]
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

export const ENCAPSULATED: readonly Attack[] = [
  wrapped(
    'wrapped',
    'every kind of VLAN tag, SNAP, PPPoE, MPLS and wrong types, to every kind of hardware address',
    0,
    true,
  ),
  wrapped('wrapped-netfilter', 'the same where bridged frames pass iptables, within tags too', 1),
]
