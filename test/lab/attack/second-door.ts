import type { Lab } from '../lab.ts'
import { INET } from '../topology.ts'
import type { Attack } from './attack.ts'
import type { Attacker } from './attacker.ts'
import { setBridgeNetfilter } from './bridge-netfilter.ts'
import { join, macBytes, u16, u32, u8 } from './bytes.ts'
import { describeFrames } from './describe.ts'
import { frame, type Tag } from './frame.ts'
import { datagram, icmp, ip, PROTOCOL } from './packet.ts'
import type { Scene } from './scene.ts'

const FAR = '203.0.113.66'
const SERVICE = 9999
const PACKETS = 10
/** The operator's own network on the second interface. */
const DOOR = { own: '10.88.7.1', other: '10.88.7.2' } as const

interface Door {
  readonly name: string
  readonly words: string
  /** Makes the interface `door7`, up and with an address. */
  readonly lines: (bridge: string) => readonly string[]
  readonly tags?: readonly Tag[]
}

/** A host can have an interface behind a guarded bridge that is not the bridge: what comes in by it is a container's all the same. */
const door = ({ name, words, lines, tags = [] }: Door): Attack => ({
  name,
  seat: 'container',
  words,
  shows: 'what comes from a guarded bridge by another interface than the bridge is not judged',
  possible: (lab) => canMake(lab, lines('br-try')),
  async play(scene) {
    // Else what leaves by a port that is no container's is judged as it is bridged.
    await setBridgeNetfilter(scene, 0)
    const place = await scene.network('door')
    const attacker = await scene.attacker('door', place)
    await makeLinks(scene, lines(place.bridge))
    await scene.guard()
    const { stdout } = await scene.lab.host(['cat', '/sys/class/net/door7/address'])
    const dst = stdout.trim()
    const far = await scene.farEnd()
    const service = await scene.hostService(SERVICE)
    const packets = [attacker.address, DOOR.other].flatMap((src) =>
      [FAR, INET.metadata, DOOR.own, attacker.place.gateway].map((to) =>
        datagram({ src, dst: to }, 4000, SERVICE, scene.secret),
      ),
    )
    const frames = packets.map((packet) => frame(attacker.ethernet({ dst }), packet, tags))
    const sent = await attacker.send(Array<readonly Buffer[]>(PACKETS).fill(frames).flat())
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

async function makeLinks({ lab, onEnd }: Scene, lines: readonly string[]): Promise<void> {
  onEnd(() => lab.host(['ip', 'link', 'delete', 'door7']))
  await lab.host(['ip', '-batch', '-'], { input: [...lines, ''].join('\n') })
}

/** Does this kernel know such interfaces? Tried in a namespace of its own. */
async function canMake(lab: Lab, lines: readonly string[]): Promise<boolean> {
  const { exitCode } = await lab.host(['unshare', '-n', 'ip', '-batch', '-'], {
    input: ['link add br-try type bridge', ...lines, ''].join('\n'),
    okExitCodes: [1, 2],
  })
  return exitCode === 0
}

const UP = [`addr add ${DOOR.own}/24 dev door7`, 'link set door7 up']

const DOORS: readonly Attack[] = [
  door({
    name: 'door-vlan',
    words: 'tagged frames to a VLAN interface that the host has on a guarded bridge',
    lines: (bridge) => [`link add link ${bridge} name door7 type vlan id 7`, ...UP],
    tags: [{ id: 7 }],
  }),
  door({
    name: 'door-macvlan',
    words: 'frames to a macvlan interface that the host has on a guarded bridge',
    lines: (bridge) => [`link add link ${bridge} name door7 type macvlan mode bridge`, ...UP],
  }),
  door({
    name: 'door-leg',
    words: 'frames to the other end of a veth pair that the host has on a guarded bridge',
    lines: (bridge) => [
      'link add door7 type veth peer name leg7',
      `link set leg7 master ${bridge}`,
      'link set leg7 up',
      ...UP,
    ],
  }),
]

const VXLAN_PORT = 4789

const tunnelEnd: Attack = {
  name: 'tunnel-end',
  seat: 'container',
  words: 'packets within VXLAN to a tunnel of the host, which hostServices does not list',
  shows:
    'a tunnel of the host takes a container’s packets out of their wrapping, and nobody judges them again',
  possible: (lab) => canMake(lab, vxlan('br-try')),
  async play(scene) {
    const place = await scene.network('door')
    const attacker = await scene.attacker('door', place)
    await makeLinks(scene, vxlan(place.bridge))
    await scene.guard()
    const { stdout } = await scene.lab.host(['cat', '/sys/class/net/door7/address'])
    const far = await scene.farEnd()
    const inner = frame(
      { src: '02:00:00:00:00:42', dst: stdout.trim() },
      datagram({ src: DOOR.other, dst: FAR }, 4000, SERVICE, scene.secret),
    )
    const packet = datagram(
      { src: attacker.address, dst: place.gateway },
      4000,
      VXLAN_PORT,
      join(u8(8, 0, 0, 0), u32(7 << 8), inner),
    )
    const sent = await attacker.send(Array<Buffer>(PACKETS).fill(frame(attacker.ethernet(), packet)))
    const { count, first } = await far.count()
    return { sent, arrived: count, details: describeFrames(first) }
  },
}

const vxlan = (bridge: string): readonly string[] => [
  `link add door7 type vxlan id 7 dev ${bridge} dstport ${VXLAN_PORT}`,
  ...UP,
]

const duringProof: Attack = {
  name: 'door-proof',
  seat: 'container',
  words: 'frames to every port of a guarded bridge while a proof is made on it',
  shows: 'the ends from which a proof sends hear a container, and are on no guarded bridge',
  quick: true,
  async play(scene) {
    await setBridgeNetfilter(scene, 0)
    const place = await scene.network('door')
    const attacker = await scene.attacker('door', place)
    await scene.guard()
    const service = await scene.hostService(SERVICE)
    const frames = ([4, 6] as const).map((family) =>
      frame(
        attacker.ethernet({ dst: 'ff:ff:ff:ff:ff:ff' }),
        datagram({ src: attacker.own(family), dst: attacker.gateway(family) }, 4000, SERVICE, scene.secret),
      ),
    )
    const proof = scene.lab.cli(['verify'], { timeoutMs: 60_000 })
    const sent = await attacker.send(Array<readonly Buffer[]>(PROOF_PACKETS).fill(frames).flat(), 500)
    await proof
    return { sent, arrived: (await service.count()).count }
  },
}

/** Of each family: they take longer than the proof. */
const PROOF_PACKETS = 1_000

const routerAdvertisement: Attack = {
  name: 'router-advertisement',
  seat: 'container',
  words: 'IPv6 router advertisements to a host that takes them on its bridges',
  shows: 'the host takes an address or its default route from a container',
  quick: true,
  async play(scene) {
    const { lab } = scene
    const place = await scene.network('door')
    const attacker = await scene.attacker('door', place)
    await lab.host(['sysctl', '-qw', `net.ipv6.conf.${place.bridge}.accept_ra=2`])
    await scene.guard()
    const ends = { src: linkLocal(attacker), dst: 'ff02::1' }
    const packet = ip({
      ...ends,
      protocol: PROTOCOL.icmp6,
      ttl: 255,
      payload: icmp(ends, 134, 0, advertisement(attacker)),
    })
    const targets = ['33:33:00:00:00:01', place.bridgeMac, '01:80:c2:00:00:0e']
    const sent = await attacker.send(targets.map((dst) => frame(attacker.ethernet({ dst }), packet)))
    const { stdout: routes } = await lab.host(['ip', '-6', 'route'])
    const { stdout: addresses } = await lab.host(['ip', '-6', '-o', 'address'])
    const taken = `${routes}${addresses}`
      .split('\n')
      .filter((line) => line.includes('2001:db8:77:') || line.includes(`default via ${ends.src}`))
    await lab.host([
      'sh',
      '-c',
      `ip -6 route flush proto ra; ip -6 address flush dev ${place.bridge} dynamic`,
    ])
    return { sent, arrived: taken.length, details: taken }
  },
}

/** A router that is there for half an hour, with a prefix that makes addresses, and its hardware address. */
function advertisement(attacker: Attacker): Buffer {
  const router = join(u8(64, 0), u16(1800), u32(0, 0))
  const prefix = join(
    u8(3, 4, 64, 0xc0),
    u32(3600, 3600, 0),
    Buffer.from('20010db8007700000000000000000000', 'hex'),
  )
  return join(router, prefix, u8(1, 1), macBytes(attacker.mac))
}

/** The address that a container's kernel makes of its hardware address. */
function linkLocal({ mac }: Attacker): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac)
  const group = (high: number, low: number) => ((high << 8) | low).toString(16)
  return `fe80::${group(a ^ 2, b)}:${group(c, 0xff)}:${group(0xfe, d)}:${group(e, f)}`
}

export const SECOND_DOORS: readonly Attack[] = [...DOORS, duringProof, tunnelEnd, routerAdvertisement]
