import * as z from 'zod'
import { parseCidr } from '../net/cidr.ts'
import { parseCron } from './cron.ts'
import { dnsSchema } from './dns-schema.ts'
import { entrySchema, portSchema } from './entry.ts'
import { MOST_BURST } from './mail-budget.ts'
import { DEFAULT_MARKS, GENERATION_BITS, RIGHTS_BITS, widthOf } from './marks.ts'
import { parsed } from './parsed.ts'
import { parseCompose, parseLabel, parseNamePattern } from './match-values.ts'
import { duration, durationWithin, nameServer, oneOf, rate, wholeNumber } from './schema-parts.ts'
import { parseAbsolutePath, parseInterfacePattern, parseListen, parseNetworkName } from './values.ts'
import { isMask, isOneBit } from './values.ts'

const cidr = parsed(parseCidr, (found) => found.cidr)
const networkName = parsed(parseNetworkName, (found) => found.name)
const interfacePattern = parsed(parseInterfacePattern, (found) => found.name)
const absolutePath = parsed(parseAbsolutePath, (found) => found.path)

const docker = z
  .strictObject({
    socket: absolutePath.prefault('/var/run/docker.sock').describe("The engine's socket."),
  })
  .prefault({})
  .describe('Where the Docker engine is found.')

const mask = (bits: number, fallback: number) =>
  z
    .number()
    .refine(isMask, 'must be bits of 32 that stand side by side, like 0xff8')
    .refine((value) => widthOf(value) >= bits, `must be at least ${bits} bits wide`)
    .prefault(fallback)

const marks = z
  .strictObject({
    rights: mask(RIGHTS_BITS, DEFAULT_MARKS.rights).describe(
      "The bits that tell containers' rights, in the marks of packets and, in the same place, of connections. At least nine, side by side.",
    ),
    generation: mask(GENERATION_BITS, DEFAULT_MARKS.generation).describe(
      "The bits of connections' marks that tell under which rules they were admitted. At least eight, side by side.",
    ),
    hostNetwork: z
      .number()
      .refine(isOneBit, 'must be exactly one bit of 32, like 0x10000000')
      .prefault(DEFAULT_MARKS.hostNetwork)
      .describe('The packet-mark bit of containers on the network of the host (`guard.hostNetwork`).'),
  })
  .prefault({})
  .describe(
    'Where the other marks of ours lie, should another tool use those (docs/marks.md). When they change every connection is judged again, and those to addresses that have expired are cut.',
  )

const guard = z
  .strictObject({
    networks: z
      .union([z.literal('all'), z.array(networkName)], { error: 'must be all or a list of network names' })
      .prefault('all')
      .describe(
        'Docker networks to guard: `all`, or a list of names. A list that names no network that is there is refused by `check` and `reload`; at a start all are guarded until one of them is there.',
      ),
    except: z.array(networkName).prefault([]).describe('Docker networks left alone.'),
    ignoreInterfaces: z
      .array(interfacePattern)
      .prefault([])
      .describe("Bridge interfaces that are not Docker's; a `*` at the end stands for any ending."),
    mark: z
      .number()
      .refine(isOneBit, 'must be exactly one bit of 32, like 0x20000000')
      .prefault(DEFAULT_MARKS.approval)
      .describe(
        'The packet-mark bit of the second guard, should another tool use this one. Exactly one bit.',
      ),
    marks,
    hostServices: z
      .union([z.literal('all'), z.array(z.union([z.enum(['published', 'all']), portSchema]))], {
        error: 'must be all or a list of icmp, published and ports like 9100/tcp',
      })
      .prefault(['icmp', 'published'])
      .describe(
        "What containers may reach on the host's own addresses: `icmp` (a ping), `published` (ports of other containers, through the engine's proxy; never for containers with `inherit: false`), ports like `9100/tcp`, or `all`. What DNS, neighbour discovery and the host's own connections need is always let through. The host's own firewall decides behind it.",
      ),
    inbound: oneOf('published', 'any')
      .prefault('published')
      .describe(
        'Who gets answers from a container: clients of its published ports, or anybody who can reach it by its own address. Answers can carry anything, so `any` is listed as not protected.',
      ),
    hostNetwork: z
      .boolean()
      .prefault(false)
      .describe(
        "Containers with `network_mode: host` are held to policy too: to the common list, or to the policies that match them, where `network: host` matches them all. What listens on the host itself stays open to them, on any of its addresses, but for published ports to those without what is common. Needs nft and a host with nothing but cgroup v2; where it cannot be done `status` says why. With it bit 0x10000000 of packets' marks is embargod's, unless `guard.marks` names another.",
      ),
    unknown: oneOf('common', 'deny')
      .prefault('common')
      .describe(
        'What a source may do that no known container holds, such as a build: what is common, or nothing. With `inherit: false` anywhere it is `deny`.',
      ),
    holdNew: z
      .union([z.literal(0), duration('1ms', '1s')], { error: 'must be 0 or a duration up to 1s' })
      .prefault('1s')
      .describe(
        "How long the first packets of a container are held until its rights are known; then they are judged as those of an unknown source. At most `1s`; 0: they are judged at once. Matters only where containers have different rights. While they are held, bit 0x80000000 and bits 0x0fffc000 of their marks are embargod's.",
      ),
    labels: oneOf('ignore', 'honour')
      .prefault('ignore')
      .describe(
        '`honour`: the label `embargod.policy` of a container, or of a network to those on it, attaches a policy that is `attachable`.',
      ),
  })
  .prefault({})
  .describe('What is guarded.')

const resolver = z
  .strictObject({
    servers: z
      .array(nameServer)
      .prefault([])
      .describe(
        'Name servers to ask: `address`, `address:port`, `[v6]:port`, or DNS over TLS as `tls://address#name` and `tls://address:port#name`, with the name in the certificate. Empty: those that the host uses, also when they change.',
      ),
    timeout: duration('1s', '1m').prefault('3s').describe('How long one question may take.'),
    refresh: z
      .strictObject({
        min: duration('1s', '1d').prefault('30s').describe('No sooner than this.'),
        max: duration('1s', '1d').prefault('5m').describe('No later than this.'),
      })
      .prefault({})
      .describe('A name is resolved again when its TTL, held between these two, is up.'),
    sweep: parsed(parseCron, (found) => found.cron, 'a cron expression in quotes')
      .prefault('*/15 * * * *')
      .describe(
        'Cron expression, UTC, five or six fields: every name is resolved, whatever its TTL. Must fire every year.',
      ),
    maxQueriesPerSecond: wholeNumber(1, 100_000).prefault(200).describe('Limit on questions sent.'),
    retain: duration('0s', '7d')
      .prefault('10m')
      .describe(
        'An address stays allowed for its TTL (at most `refresh.max`) and this much longer after it was last seen.',
      ),
    maxStale: duration('1m', '24d')
      .prefault('1d')
      .describe(
        "The kernel's own time-out on every address, renewed while the daemon lives. More than `refresh.max` and `retain` together.",
      ),
    maxAddressesPerName: wholeNumber(1, 65_535)
      .prefault(1000)
      .describe('A name with more addresses keeps the newest.'),
  })
  .prefault({})
  .describe('How allowed names are resolved.')

const metadata = z
  .strictObject({
    block: z
      .boolean()
      .prefault(true)
      .describe('Refuse cloud metadata and link-local addresses, ahead of every allow.'),
    extra: z.array(cidr).prefault([]).describe('More networks to treat like cloud metadata.'),
  })
  .prefault({})
  .describe('Cloud metadata services, which hand out credentials.')

const smtpKeys = z.strictObject({
  ports: z
    .array(wholeNumber(1, 65_535))
    .min(1, 'the list is empty: leave out smtp to have no limit')
    .max(15, 'at most 15 ports: one rule of the kernel holds no more')
    .prefault([25, 465, 587])
    .describe('TCP ports that mail leaves by.'),
  rate: rate('5/minute')
    .prefault('5/minute')
    .describe(
      'New connections: `5/minute`, or /second, /hour, /day. Within it they go on to the allow rules; over it they are dropped.',
    ),
  burst: wholeNumber(1, MOST_BURST)
    .optional()
    .describe(
      'So many may come at once, and no more than the rate gives in a day. Absent: as many as the rate names, so of `100/hour` all 100.',
    ),
  per: oneOf('container', 'host')
    .prefault('container')
    .describe('A budget for each container, or one for the whole host (per address family).'),
  destinations: oneOf('allowed', 'any')
    .prefault('allowed')
    .describe('`any`: within the rate, mail may go to anyone, and `status` lists it as unprotected.'),
})

const smtp = smtpKeys
  .optional()
  .describe('Limits on outgoing mail. Absent: mail ports are like any other. `{}`: the defaults.')

const denyWith = oneOf('drop', 'reject')
const mode = oneOf('enforce')

const match = z
  .strictObject({
    network: networkName.optional().describe('On this Docker network, for what the container sends there.'),
    compose: parsed(parseCompose, (found) => found.compose)
      .optional()
      .describe('A compose project, or `project/service`.'),
    label: parsed(parseLabel, (found) => found.label)
      .optional()
      .describe(
        "`key=value`, as the container bears it. A label that its image brings along doesn't count: an image could name itself into a policy.",
      ),
    container: parsed(parseNamePattern, (found) => found.pattern)
      .optional()
      .describe('The name of the container; `*` stands for any text, `?` for one character.'),
  })
  .refine((keys) => Object.keys(keys).length > 0, {
    message: 'is empty: name network, compose, label or container',
    when: ({ issues }) => issues.length === 0,
  })

const policy = z
  .strictObject({
    match: z
      .union([match, z.array(match)], {
        error: 'must be a map of network, compose, label, container, or a list of such',
      })
      .optional()
      .describe('Whom it is for: every key of a map has to hold, and one map of a list.'),
    allow: z
      .array(entrySchema)
      .prefault([])
      .describe('What these containers may reach beside what is common, as in `allow`.'),
    inherit: z
      .boolean()
      .prefault(true)
      .describe('`false`: the common allow list does not apply to these containers, on whatever network.'),
    metadata: oneOf('deny', 'allow')
      .prefault('deny')
      .describe('`allow` opens 80/tcp on the instance metadata addresses, and nothing more of them.'),
    attachable: z
      .boolean()
      .prefault(false)
      .describe(
        'The label `embargod.policy` may attach it, where `guard.labels` is `honour`; never its metadata.',
      ),
    smtp: smtpKeys.optional().describe('Limits on mail for these containers, in place of the common ones.'),
    denyWith: denyWith.optional().describe('In place of the common one.'),
    mode: mode.optional().describe('In place of the common one.'),
  })
  .describe('One policy.')

const log = z
  .strictObject({
    level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal')
      .prefault('info')
      .describe('Least severity that is logged.'),
    blocked: z.boolean().prefault(true).describe('Log denied packets, at a limited rate.'),
  })
  .prefault({})
  .describe('Logging.')

const metrics = z
  .strictObject({
    listen: parsed(parseListen, (found) => found, 'address:port, like 127.0.0.1:9464')
      .prefault('127.0.0.1:9464')
      .describe('`address:port` of /metrics, /healthz and /readyz.'),
  })
  .prefault({})
  .describe('Prometheus metrics and health.')

const verify = z
  .strictObject({
    every: parsed(
      (text) => (text === 'never' ? { ms: undefined } : durationWithin(text, '5s', '1d')),
      (found) => found.ms,
      'a duration like 5m, or never',
    )
      .prefault('5m')
      .describe(
        'How often the daemon proves with packets of its own, which never leave the host, that both guards hold, on a network of each kind. `never`: not by itself.',
      ),
  })
  .prefault({})
  .describe('The proof that `embargod verify` makes, made by the daemon.')

/** The config file. Its input is what an operator writes; its output has every value parsed and every default filled in. */
export const configSchema = z
  .strictObject({
    mode: mode.prefault('enforce').describe('`enforce`: what is not allowed is denied.'),
    denyWith: denyWith
      .prefault('drop')
      .describe('`drop`, or `reject` (ICMP admin-prohibited, TCP RST): clients fail at once.'),
    docker,
    guard,
    resolver,
    dns: dnsSchema,
    allow: z
      .array(entrySchema)
      .prefault([])
      .describe('What every guarded container may reach: a list of texts and maps.'),
    policies: z
      .record(z.string(), policy)
      .prefault({})
      .describe(
        'Other rights for some containers, by name: `[a-z0-9-]`, at most 16 characters. The allow lists of all policies that match a container unite.',
      ),
    never: z
      .array(cidr)
      .prefault([])
      .describe("Networks that win over every allow and every answer. The host's own addresses always are."),
    metadata,
    smtp,
    log,
    metrics,
    verify,
    state: absolutePath
      .prefault('/var/lib/embargod')
      .describe('Directory of everything that outlives the daemon.'),
  })
  .describe(
    'Configuration of embargod: /etc/embargod/embargod.yaml, then /etc/embargod/conf.d/*.yaml, whose lists append.',
  )

export type ConfigOutput = z.output<typeof configSchema>
