import * as z from 'zod'
import { parsePorts, portList } from '../net/ports.ts'
import { DEFAULT_PORTS, parseDomain, parseNetwork, parseShorthand } from './entry-text.ts'
import { parsed } from './parsed.ts'
import { parseUntil } from './until.ts'
import type { AllowEntry, AllowTarget } from './model.ts'
import type { Path } from './tree.ts'

const TARGET_KEYS = ['domain', 'domains', 'cidr', 'cidrs', 'file', 'to'] as const

const domain = parsed(parseDomain, (found) => found.target)
const network = parsed(parseNetwork, (found) => found.target)

/** One item of a list of ports, as its specs. */
export const portSchema = z
  .union([
    parsed(
      (text) => parsePorts(text),
      (found) => found.ports.specs,
    ),
    z
      .int()
      .meta({ minimum: 1, maximum: 65535 })
      .transform((number, context) => {
        const found = parsePorts(number)
        if (!('reason' in found)) return found.ports.specs
        context.addIssue({ code: 'custom', message: found.reason, input: number })
        return z.NEVER
      }),
  ])
  .describe(
    '`443` (TCP), `443/tcp`, `53/udp`, `8000-8100/tcp`, `any` (every TCP and UDP port), or a protocol without ports',
  )

const ports = z
  .union([
    z.array(portSchema).min(1, 'the list of ports is empty: leave it out for 80/tcp and 443/tcp'),
    portSchema,
  ])
  .optional()
  .describe('One port or a list of them. Without it: 80/tcp and 443/tcp.')

const longEntry = z
  .strictObject({
    domain: domain
      .optional()
      .describe(
        'A host name; with `dns.gateway` also `*.example.com`, for one label below the name, and `**.example.com`, for one or more. IDNA is understood.',
      ),
    domains: z
      .array(domain)
      .min(1, 'the list is empty')
      .optional()
      .describe('Host names that share the rest of the entry.'),
    cidr: network
      .optional()
      .describe('A network or an address, IPv4 or IPv6, without bits behind its prefix.'),
    cidrs: z
      .array(network)
      .min(1, 'the list is empty')
      .optional()
      .describe('Networks and addresses that share the rest of the entry.'),
    file: z
      .string()
      .min(1, 'the file name is empty')
      .optional()
      .describe(
        'A list file, relative to the folder of the config file: one name, address or network in each line; `#` starts a comment. ' +
          'Only root may be able to write it, and it may have at most 16 MiB.',
      ),
    to: z
      .literal('internet', { error: 'the one value of "to" is internet' })
      .optional()
      .describe(
        '`internet`: every address that is not private, not one of the host, not metadata and not in `never`.',
      ),
    ports,
    private: z
      .boolean()
      .prefault(false)
      .describe(
        'Whether the names may resolve to RFC 1918 and ULA addresses. Link-local, loopback and metadata addresses are always refused.',
      ),
    until: parsed(parseUntil, (found) => found.untilMs)
      .optional()
      .describe(
        'When the entry ends by itself: `2027-01-31` (at the end of that day, UTC) or `2027-01-31T18:00:00Z`. The kernel ends it within two seconds, even while embargod does not run.',
      ),
    comment: z
      .string()
      .max(200, 'a comment has at most 200 characters')
      .refine(
        (text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text),
        'a comment is one line, without invisible characters',
      )
      .optional()
      .describe('Why the entry is there, for whoever reads it later.'),
  })
  .refine((entry) => TARGET_KEYS.filter((key) => key in entry).length === 1, {
    message: `an entry has exactly one of ${TARGET_KEYS.join(', ')}`,
    when: (payload) =>
      typeof payload.value === 'object' && payload.value !== null && !Array.isArray(payload.value),
  })
  .meta({ oneOf: TARGET_KEYS.map((key) => ({ required: [key] })) })

const shorthand = parsed(parseShorthand, (found) => found).describe(
  '`host`, `host:443`, `host:443/tcp`, an address or a network, `[v6]:443`. Without a port: 80/tcp and 443/tcp.',
)

/** One item of `allow` as written. */
export const entrySchema = z.union([shorthand, longEntry], {
  error: 'an entry is a text like api.example.com:443, or a map',
})

/** What all targets of an entry share. */
export type EntryTerms = Pick<AllowEntry, 'ports' | 'private' | 'untilMs' | 'comment'>

/** One item of `allow` as read: its targets with their paths within the item, or the list file that holds them. */
export interface ReadEntry {
  readonly terms: EntryTerms
  readonly targets: readonly { readonly target: AllowTarget; readonly path: Path }[]
  readonly file: string | undefined
}

export function readEntry(entry: z.output<typeof entrySchema>): ReadEntry {
  if ('target' in entry) {
    const terms = { ports: entry.ports, private: false, untilMs: undefined, comment: undefined }
    return { terms, targets: [{ target: entry.target, path: [] }], file: undefined }
  }
  const terms = {
    ports: entry.ports === undefined ? DEFAULT_PORTS : portList(entry.ports.flat()),
    private: entry.private,
    untilMs: entry.until,
    comment: entry.comment,
  }
  return { terms, targets: [...targetsOf(entry)], file: entry.file }
}

function* targetsOf(entry: z.output<typeof longEntry>): Generator<ReadEntry['targets'][number]> {
  if (entry.domain !== undefined) yield { target: entry.domain, path: ['domain'] }
  if (entry.cidr !== undefined) yield { target: entry.cidr, path: ['cidr'] }
  if (entry.to !== undefined) yield { target: { kind: 'internet' }, path: ['to'] }
  for (const [i, target] of (entry.domains ?? []).entries()) yield { target, path: ['domains', i] }
  for (const [i, target] of (entry.cidrs ?? []).entries()) yield { target, path: ['cidrs', i] }
}
