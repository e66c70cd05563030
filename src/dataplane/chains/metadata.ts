import { classMark } from '../../config/marks.ts'
import { INSTANCE_METADATA, metadataOf, wrappedMetadata } from '../../net/metadata.ts'
import { COMMON } from '../../policy/compile.ts'
import type { Cidr, Family } from '../../net/types.ts'
import { ANY_WRAPPED } from '../../net/wrapped.ts'
import type { BuildInput } from '../build-input.ts'
import type { Chain, Rule } from '../model.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { approved, denied } from '../verdict.ts'

/** Link-local frames between containers of one bridge are neighbour discovery, not metadata. */
export function metadataRules(metadata: readonly Cidr[], family: Family): Rule[] {
  if (metadata.length === 0) return []
  return [
    ...metadata.map((cidr) =>
      denied(
        'metadata',
        cidr === 'fe80::/10'
          ? [
              { kind: 'destination', cidr },
              { kind: 'bridged', negate: true },
            ]
          : [{ kind: 'destination', cidr }],
        `cloud metadata ${cidr}`,
        `metadata.${cidr}`,
      ),
    ),
    ...(family === 6 ? toWrapped : []),
    rule({
      key: 'metadata.dnat',
      matches: [{ kind: 'state', states: ['DNAT'] }],
      target: { kind: 'jump', chain: CHAIN.dnat },
      action: 'continue',
      words: 'redirected on the way: look at where it was going',
    }),
  ]
}

/** In a chain of its own: of ordinary packets each is asked four questions and no more. */
const toWrapped: readonly Rule[] = ANY_WRAPPED.map((cidr) =>
  rule({
    key: `metadata.wrapped.${cidr}`,
    matches: [{ kind: 'destination', cidr }],
    target: { kind: 'jump', chain: CHAIN.wrapped },
    action: 'continue',
    words: `${cidr} may hold an IPv4 address: look at that`,
  }),
)

/** What NAT64, 6to4 and their like would turn into an IPv4 metadata address. What comes back from here is judged on. */
export const wrappedChain = ({ config }: BuildInput): Chain => ({
  table: 'filter',
  name: CHAIN.wrapped,
  rules: wrappedMetadata(config.metadata).map((cidr) =>
    denied(
      'metadata',
      [{ kind: 'destination', cidr }],
      `cloud metadata within IPv6 ${cidr}`,
      `wrapped.${cidr}`,
    ),
  ),
})

/** Some may read the credentials of this machine: 80/tcp of where clouds answer for it, and nothing more. */
export function metadataForClasses({ rights, config }: BuildInput, family: Family): Rule[] {
  const { marks } = config.guard
  return (rights?.classes ?? [])
    .filter(({ metadata }) => metadata)
    .flatMap(({ id, policies }) =>
      INSTANCE_METADATA[family].map((address) =>
        approved(
          `imds.${id}.${address}`,
          `instance metadata ${address} for ${policies.join(', ')}`,
          [
            { kind: 'mark', value: classMark(marks, id), mask: marks.rights },
            { kind: 'destination', cidr: address },
            { kind: 'ports', protocol: 'tcp', ranges: [{ from: 80, to: 80 }] },
          ],
          policies.find((one) => one !== COMMON),
        ),
      ),
    )
}

export function dnatRules(input: BuildInput, family: Family): Rule[] {
  return metadataOf(input.config.metadata, family).map((cidr) =>
    denied(
      'metadata',
      [{ kind: 'originalDestination', cidr }],
      `cloud metadata ${cidr} before DNAT`,
      `dnat.${cidr}`,
    ),
  )
}
