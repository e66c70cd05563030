import * as z from 'zod'
import { portSchema } from './entry.ts'
import { DEFAULT_MARKS, GENERATION_BITS, RIGHTS_BITS, widthOf } from './marks.ts'
import { parsed } from './parsed.ts'
import { duration, networkName, oneOf } from './schema-parts.ts'
import { isMask, isOneBit, parseInterfacePattern } from './values.ts'

const interfacePattern = parsed(parseInterfacePattern, (found) => found.name)

const mask = (bits: number, fallback: number) =>
  z
    .number()
    .refine(isMask, 'must be bits of 32 that stand side by side, like 0xff8')
    .refine((value) => widthOf(value) >= bits, `must be at least ${bits} bits wide`)
    .prefault(fallback)

const marks = z
  .strictObject({
    rights: mask(RIGHTS_BITS, DEFAULT_MARKS.rights).describe(
      "Bits of the packet mark, and the same bits of the connection mark, that tell containers' rights apart. At least nine, side by side.",
    ),
    generation: mask(GENERATION_BITS, DEFAULT_MARKS.generation).describe(
      'Bits of the connection mark that tell under which rules a connection was admitted. At least eight, side by side.',
    ),
    hostNetwork: z
      .number()
      .refine(isOneBit, 'must be exactly one bit of 32, like 0x10000000')
      .prefault(DEFAULT_MARKS.hostNetwork)
      .describe('The packet-mark bit of containers on the network of the host (`guard.hostNetwork`).'),
  })
  .prefault({})
  .describe(
    'Where the other marks of embargod lie, in case another tool uses the default bits (docs/marks.md). When they change, every connection is judged again, and connections to addresses that have expired are cut.',
  )

/** `guard`: which networks are guarded, and how. */
export const guardSchema = z
  .strictObject({
    networks: z
      .union([z.literal('all'), z.array(networkName)], { error: 'must be all or a list of network names' })
      .prefault('all')
      .describe(
        'Docker networks to guard: `all`, or a list of names. `check` and `reload` refuse a list when this host has none of its networks; after a start all networks are guarded until one of the list exists.',
      ),
    except: z.array(networkName).prefault([]).describe('Docker networks that are left alone.'),
    ignoreInterfaces: z
      .array(interfacePattern)
      .prefault([])
      .describe("Bridge interfaces that are not Docker's; a `*` at the end stands for any ending."),
    mark: z
      .number()
      .refine(isOneBit, 'must be exactly one bit of 32, like 0x20000000')
      .prefault(DEFAULT_MARKS.approval)
      .describe(
        'The packet-mark bit with which the rules approve a packet for the second guard. Choose another one if another tool uses it. Exactly one bit.',
      ),
    marks,
    hostServices: z
      .union([z.literal('all'), z.array(z.union([z.enum(['published', 'all']), portSchema]))], {
        error: 'must be all or a list of icmp, published and ports like 9100/tcp',
      })
      .prefault(['icmp', 'published'])
      .describe(
        "What containers may reach on the host's own addresses: `icmp` (a ping), `published` (ports of other containers, through the engine's proxy; never for containers with `inherit: false`), ports like `9100/tcp`, or `all`. What DNS, neighbour discovery and the host's own connections need always passes. The host's own firewall still decides about what passes here.",
      ),
    inbound: oneOf('published', 'any')
      .prefault('published')
      .describe(
        'Who gets answers from a container: clients of its published ports, or anyone who can reach its own address. Answers can carry any data, so `any` is listed as not protected.',
      ),
    hostNetwork: z
      .boolean()
      .prefault(false)
      .describe(
        "Containers with `network_mode: host` are held to policy too: to the common list, or to the policies that match them (`network: host` matches all of them). They can still reach what listens on the host itself, on any of its addresses; only published ports are closed to containers without the common list. Needs nft and a host with cgroup v2 alone; where it cannot be done, `status` says why. Bit 0x10000000 of packet marks is then embargod's, unless `guard.marks` names another.",
      ),
    unknown: oneOf('common', 'deny')
      .prefault('common')
      .describe(
        'What traffic from sources that are not known containers, such as a build, may reach: the common list (`common`) or nothing (`deny`). When any policy has `inherit: false`, it is always `deny`.',
      ),
    holdNew: z
      .union([z.literal(0), duration('1ms', '1s')], { error: 'must be 0 or a duration up to 1s' })
      .prefault('1s')
      .describe(
        "How long the first packets of a container are held until its rights are known. After that they are judged as traffic of an unknown source. At most `1s`; 0: they are judged at once. Matters only where containers have different rights. While packets are held, bit 0x80000000 and bits 0x0fffc000 of their marks are embargod's.",
      ),
    labels: oneOf('ignore', 'honour')
      .prefault('ignore')
      .describe(
        '`honour`: the label `embargod.policy` attaches a policy that is `attachable`. On a container it holds for that container, on a network for all containers there.',
      ),
  })
  .prefault({})
  .describe('What is guarded.')
