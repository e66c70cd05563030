import * as z from 'zod'
import { parseCidr } from '../net/cidr.ts'
import { parseCron } from './cron.ts'
import { dnsSchema } from './dns-schema.ts'
import { entrySchema } from './entry.ts'
import { guardSchema } from './guard-schema.ts'
import { parsed } from './parsed.ts'
import { denyWith, mode, policySchema, smtpSchema } from './policy-schema.ts'
import { duration, durationWithin, nameServer, oneOf, wholeNumber } from './schema-parts.ts'
import { parseAbsolutePath, parseListen } from './values.ts'

const cidr = parsed(parseCidr, (found) => found.cidr)
const absolutePath = parsed(parseAbsolutePath, (found) => found.path)

const docker = z
  .strictObject({
    socket: absolutePath.prefault('/var/run/docker.sock').describe("The engine's socket."),
  })
  .prefault({})
  .describe('Where the Docker engine is found.')

const resolver = z
  .strictObject({
    servers: z
      .array(nameServer)
      .prefault([])
      .describe(
        'Name servers to ask: `address`, `address:port`, `[v6]:port`, or DNS over TLS as `tls://address#name` and `tls://address:port#name`, with the name in the certificate. Empty: those that the host uses, also when they change.',
      ),
    timeout: duration('1s', '1m').prefault('3s').describe('How long one question to a name server may take.'),
    refresh: z
      .strictObject({
        min: duration('1s', '1d').prefault('30s').describe('Least time before a name is resolved again.'),
        max: duration('1s', '1d').prefault('5m').describe('Longest time until a name is resolved again.'),
      })
      .prefault({})
      .describe('A name is resolved again when its TTL has passed, but within these two limits.'),
    sweep: parsed(parseCron, (found) => found.cron, 'a cron expression in quotes')
      .prefault('*/15 * * * *')
      .describe(
        'When every name is resolved again, whatever its TTL: a cron expression in UTC with five or six fields. It must match at least once a year.',
      ),
    maxQueriesPerSecond: wholeNumber(1, 100_000)
      .prefault(200)
      .describe('Most questions that are sent in a second.'),
    retain: duration('0s', '7d')
      .prefault('10m')
      .describe(
        'An address stays allowed for its TTL (at most `refresh.max`) plus this time, counted from when it was last in an answer.',
      ),
    maxStale: duration('1m', '24d')
      .prefault('1d')
      .describe(
        'The time-out of every address in the kernel, which the daemon renews while it runs: when the daemon is gone, addresses stay allowed for this long at most. More than `refresh.max` and `retain` together.',
      ),
    maxAddressesPerName: wholeNumber(1, 65_535)
      .prefault(1000)
      .describe('Most addresses that one name may hold. When a name has more, the newest are kept.'),
  })
  .prefault({})
  .describe('How allowed names are resolved.')

const metadata = z
  .strictObject({
    block: z
      .boolean()
      .prefault(true)
      .describe('Refuse cloud metadata and link-local addresses, whatever the allow lists say.'),
    extra: z.array(cidr).prefault([]).describe('More networks to treat like cloud metadata.'),
  })
  .prefault({})
  .describe('Cloud metadata services, which hand out credentials.')

const log = z
  .strictObject({
    level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal')
      .prefault('info')
      .describe('Messages of a lower severity are not logged.'),
    blocked: z.boolean().prefault(true).describe('Log denied packets, at a limited rate.'),
  })
  .prefault({})
  .describe('Logging.')

const metrics = z
  .strictObject({
    listen: parsed(parseListen, (found) => found, 'address:port, like 127.0.0.1:9464')
      .prefault('127.0.0.1:9464')
      .describe('`address:port` that serves /metrics, /healthz and /readyz.'),
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
        'How often the daemon proves that both guards hold. It sends packets of its own, which never leave the host, on one network of each kind. `never`: only `embargod verify` makes the proof.',
      ),
  })
  .prefault({})
  .describe('The proof of `embargod verify`, repeated by the daemon.')

/** The config file. Its input is what an operator writes; its output has every value parsed and every default filled in. */
export const configSchema = z
  .strictObject({
    mode: mode.prefault('enforce').describe('`enforce`: what is not allowed is denied.'),
    denyWith: denyWith
      .prefault('drop')
      .describe(
        'What happens to a denied packet. `drop`: nothing comes back. `reject`: clients fail at once (ICMP admin-prohibited, TCP RST).',
      ),
    docker,
    guard: guardSchema,
    resolver,
    dns: dnsSchema,
    allow: z
      .array(entrySchema)
      .prefault([])
      .describe('What every guarded container may reach: a list of texts and maps.'),
    policies: z
      .record(z.string(), policySchema)
      .prefault({})
      .describe(
        'Other rights for some containers, by policy name: `[a-z0-9-]`, at most 16 characters. A container that several policies match may reach what any of them allows.',
      ),
    never: z
      .array(cidr)
      .prefault([])
      .describe(
        "Networks that no allow entry and no DNS answer opens. The host's own addresses always belong to them.",
      ),
    metadata,
    smtp: smtpSchema,
    log,
    metrics,
    verify,
    state: absolutePath
      .prefault('/var/lib/embargod')
      .describe('Directory of everything that is kept while the daemon does not run.'),
  })
  .describe(
    'Configuration of embargod: /etc/embargod/embargod.yaml, then /etc/embargod/conf.d/*.yaml. Lists from several files are joined.',
  )

export type ConfigOutput = z.output<typeof configSchema>
