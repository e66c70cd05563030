import * as z from 'zod'
import { PROOF_PORTS } from '../dataplane/names.ts'
import type { Run } from '../system/exec.ts'
import { untilQueueIsEmpty } from './queue.ts'

/** Says whose the pair is, to us and to who lists interfaces. */
const ALIAS = 'embargod-verify'

/** A port of a bridge, such as a container has. */
export interface ProbePort {
  /** The bridge's number: another of its name has another. */
  readonly bridgeIndex: number
  /** What is sent out of this interface comes in at the bridge. */
  readonly far: string
  /** The bridge's own address: frames to it are routed. */
  readonly bridgeMac: string
  /** Behind another port of the same bridge; undefined: there is none. */
  readonly neighbourMac: string | undefined
}

/**
 * Named as the engine names its containers' ends, for that is what they are to the rules and to who watches interfaces. The same names
 * every time: only one proof is made at a time.
 */
const nearOf = (index: number): string => `${PROOF_PORTS.near}${index.toString(16).padStart(3, '0')}`
const farOf = (index: number): string => `vethe0b1${index.toString(16).padStart(3, '0')}`
const neighbourOf = (index: number): string =>
  `${PROOF_PORTS.neighbour}${index.toString(16).padStart(3, '0')}`
const farNeighbourOf = (index: number): string => `vethe0b3${index.toString(16).padStart(3, '0')}`
const neighbourMac = (index: number): string => `02:e0:b0:00:00:${mac(index)}`

/**
 * Gives each bridge a port; a bridge that is gone gets none. Nothing gets an address, so the host has none the more.
 * @param withNeighbours gives each a second port, to which frames of the first are bridged
 */
export async function openPorts(
  run: Run,
  bridges: readonly string[],
  withNeighbours: boolean,
): Promise<Map<string, ProbePort>> {
  const pairs = bridges.flatMap((bridge, index): Pair[] => [
    { bridge, near: nearOf(index), far: farOf(index), nearMac: `fe:ff:ff:ff:ff:${mac(index)}` },
    ...(withNeighbours
      ? [
          {
            bridge,
            near: neighbourOf(index),
            far: farNeighbourOf(index),
            nearMac: `fe:ff:ff:ff:fe:${mac(index)}`,
          },
        ]
      : []),
  ])
  const tell = (lines: readonly string[]) =>
    run(['ip', '-force', '-batch', '-'], { input: `${lines.join('\n')}\n`, okExitCodes: [1] })
  await tell(
    pairs.flatMap(({ near, far, nearMac }) => [
      // A bridge that was given no address takes the lowest of its ports: this one is never that.
      `link add ${near} address ${nearMac} type veth peer name ${far}`,
      `link set ${near} alias ${ALIAS}`,
      // No IPv6 of its own, and none of what the kernel would say to make it known.
      `link set ${near} addrgenmode none`,
      `link set ${far} addrgenmode none`,
      `link set ${far} arp off`,
    ]),
  )
  await deafen(
    run,
    pairs.map(({ far }) => far),
  )
  await Promise.all(bridges.map((bridge) => connect(run, bridge, pairs)))
  if (withNeighbours) await placeNeighbours(run, bridges.length)
  const standing = await readBridges(run)
  return new Map(
    bridges.flatMap((bridge, index): [string, ProbePort][] => {
      const found = standing.get(bridge)
      if (!found) return []
      const neighbour = withNeighbours ? neighbourMac(index) : undefined
      return [
        [
          bridge,
          { bridgeIndex: found.index, far: farOf(index), bridgeMac: found.mac, neighbourMac: neighbour },
        ],
      ]
    }),
  )
}

/** Names of the bridges that still are what they were when they got their ports. */
export async function stillStanding(
  run: Run,
  ports: ReadonlyMap<string, ProbePort>,
): Promise<ReadonlySet<string>> {
  const standing = await readBridges(run)
  return new Set(
    [...ports].flatMap(([bridge, { bridgeIndex }]) =>
      standing.get(bridge)?.index === bridgeIndex ? [bridge] : [],
    ),
  )
}

/** A batch for each bridge: at one that is gone `ip` gives up all the rest of a batch (with 255), whatever `-force` says. */
async function connect(run: Run, bridge: string, pairs: readonly Pair[]): Promise<void> {
  const lines = pairs
    .filter((pair) => pair.bridge === bridge)
    .flatMap(({ near, far }) => [`link set ${near} master ${bridge} up`, `link set ${far} up`])
  await run(['ip', '-force', '-batch', '-'], { input: `${lines.join('\n')}\n`, okExitCodes: [1, 255] })
}

interface Pair {
  readonly bridge: string
  readonly near: string
  readonly far: string
  readonly nearMac: string
}

const ENDS_TABLE = 'embargod-verify-ends'
const REMOVE_ENDS = `table netdev ${ENDS_TABLE} {}\ndelete table netdev ${ENDS_TABLE}\n`

/**
 * The far ends only send. What a bridge sends to them, and it floods to every port, would come to the host by an interface that no rule
 * guards: it is dropped before anybody sees it, from before the near ends are ports.
 */
async function deafen(run: Run, ends: readonly string[]): Promise<void> {
  const devices = ends.map((name) => `"${name}"`).join(', ')
  await run(['nft', '-f', '-'], {
    input: `${REMOVE_ENDS}table netdev ${ENDS_TABLE} {
  chain ends {
    type filter hook ingress devices = { ${devices} } priority -500; policy drop;
  }
}
`,
  })
}

/** A frame to an address that no port is known for would go to every container. */
async function placeNeighbours(run: Run, count: number): Promise<void> {
  const lines = Array.from(
    { length: count },
    (_, index) => `fdb replace ${neighbourMac(index)} dev ${neighbourOf(index)} master static\n`,
  )
  await run(['bridge', '-force', '-batch', '-'], { input: lines.join(''), okExitCodes: [1] })
}

const mac = (index: number): string => (index & 0xff).toString(16).padStart(2, '0')

const links = z.array(
  z.object({
    ifindex: z.number().optional(),
    ifname: z.string().optional(),
    address: z.string().optional(),
    ifalias: z.string().optional(),
  }),
)

async function readBridges(run: Run): Promise<Map<string, { index: number; mac: string }>> {
  const { stdout } = await run(['ip', '-json', 'link', 'show', 'type', 'bridge'])
  return new Map(
    links
      .parse(JSON.parse(stdout || '[]'))
      .flatMap(({ ifindex, ifname, address }): [string, { index: number; mac: string }][] =>
        ifindex !== undefined &&
        ifname !== undefined &&
        address !== undefined &&
        /^[0-9a-f:]{17}$/.test(address)
          ? [[ifname, { index: ifindex, mac: address }]]
          : [],
      ),
  )
}

/** Takes away every port that a proof has made, of this process or of one that was killed. Resolves to how many there were. */
export async function closePorts(run: Run): Promise<number> {
  const { stdout } = await run(['ip', '-json', 'link', 'show', 'type', 'veth'])
  const ours = links
    .parse(JSON.parse(stdout || '[]'))
    .flatMap(({ ifname, ifalias }) => (ifname !== undefined && ifalias === ALIAS ? [ifname] : []))
  const tellEach = async (command: (name: string) => string): Promise<void> => {
    if (ours.length === 0) return
    const input = ours.map((name) => `${command(name)}\n`).join('')
    await run(['ip', '-force', '-batch', '-'], { input, okExitCodes: [1] })
  }
  // First, so that no end is ever a port and heard.
  await tellEach((name) => `link set ${name} nomaster down`)
  // At once and not with each of its links. It may be all that a proof has left.
  await untilQueueIsEmpty()
  await run(['nft', '-f', '-'], { input: REMOVE_ENDS })
  await tellEach((name) => `link delete ${name}`)
  return ours.length
}
