import * as z from 'zod'
import { entrySchema } from './entry.ts'
import { MOST_BURST } from './mail-budget.ts'
import { parseCompose, parseLabel, parseNamePattern } from './match-values.ts'
import { parsed } from './parsed.ts'
import { networkName, oneOf, rate, wholeNumber } from './schema-parts.ts'

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
      'New connections: `5/minute`, or /second, /hour, /day. Connections within the rate go on to the allow rules; connections above it are dropped.',
    ),
  burst: wholeNumber(1, MOST_BURST)
    .optional()
    .describe(
      'How many new connections may come at once; at most what the rate allows in a day. Absent: the number in the rate, so 100 for `100/hour`.',
    ),
  per: oneOf('container', 'host')
    .prefault('container')
    .describe('One budget for each container, or one for the whole host (in each address family).'),
  destinations: oneOf('allowed', 'any')
    .prefault('allowed')
    .describe('`any`: mail within the rate may go to any address, and `status` lists it as unprotected.'),
})

/** `smtp`: limits on mail for all containers. */
export const smtpSchema = smtpKeys
  .optional()
  .describe(
    'Limits on outgoing mail. Absent: mail ports are treated like all others. `{}`: the default limits.',
  )

/** Values that the whole config and each policy may set. */
export const denyWith = oneOf('drop', 'reject')
export const mode = oneOf('enforce')

const match = z
  .strictObject({
    network: networkName
      .optional()
      .describe('Containers on this Docker network. The policy holds for what they send there.'),
    compose: parsed(parseCompose, (found) => found.compose)
      .optional()
      .describe('A compose project, or `project/service`.'),
    label: parsed(parseLabel, (found) => found.label)
      .optional()
      .describe(
        '`key=value`, a label of the container. Labels that come with its image do not count, since an image could choose its own policy by them.',
      ),
    container: parsed(parseNamePattern, (found) => found.pattern)
      .optional()
      .describe('The name of the container; `*` stands for any text, `?` for one character.'),
  })
  .refine((keys) => Object.keys(keys).length > 0, {
    message: 'is empty: name network, compose, label or container',
    when: ({ issues }) => issues.length === 0,
  })

/** One of `policies`. */
export const policySchema = z
  .strictObject({
    match: z
      .union([match, z.array(match)], {
        error: 'must be a map of network, compose, label, container, or a list of such',
      })
      .optional()
      .describe(
        'Which containers the policy applies to: all keys of one map must match, and one map of a list is enough.',
      ),
    allow: z
      .array(entrySchema)
      .prefault([])
      .describe('What these containers may reach in addition to the common list. Written as in `allow`.'),
    inherit: z
      .boolean()
      .prefault(true)
      .describe(
        '`false`: the common allow list does not apply to these containers, on none of their networks.',
      ),
    metadata: oneOf('deny', 'allow')
      .prefault('deny')
      .describe('`allow` opens 80/tcp on the instance-metadata addresses, and nothing else there.'),
    attachable: z
      .boolean()
      .prefault(false)
      .describe(
        'Whether the label `embargod.policy` may attach the policy, where `guard.labels` is `honour`. A label never opens metadata.',
      ),
    smtp: smtpKeys.optional().describe('Limits on mail of these containers, instead of the common limits.'),
    denyWith: denyWith.optional().describe('`denyWith` for these containers, instead of the common value.'),
    mode: mode.optional().describe('`mode` for these containers, instead of the common value.'),
  })
  .describe('One policy.')
