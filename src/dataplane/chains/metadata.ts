import { CLASS_MASK } from '../../config/model.ts'
import { INSTANCE_METADATA, METADATA } from '../../net/metadata.ts'
import { COMMON } from '../../policy/compile.ts'
import { familyOf, type Cidr, type Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import type { Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { approved, denied } from '../verdict.ts'

export function metadataOf(input: BuildInput, family: Family): readonly Cidr[] {
  if (!input.config.metadata.block) return []
  return [...METADATA[family], ...input.config.metadata.extra.filter((cidr) => familyOf(cidr) === family)]
}

/** Link-local frames between containers of one bridge are neighbour discovery, not metadata. */
export function metadataRules(metadata: readonly Cidr[]): Rule[] {
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
    rule({
      key: 'metadata.dnat',
      matches: [{ kind: 'state', states: ['DNAT'] }],
      target: { kind: 'jump', chain: CHAIN.dnat },
      action: 'continue',
      words: 'redirected on the way: look at where it was going',
    }),
  ]
}

/** Some may read the credentials of this machine: 80/tcp of where clouds answer for it, and nothing more. */
export function metadataForClasses({ rights }: BuildInput, family: Family): Rule[] {
  return (rights?.classes ?? [])
    .filter(({ metadata }) => metadata)
    .flatMap(({ id, policies }) =>
      INSTANCE_METADATA[family].map((address) =>
        approved(
          `imds.${id}.${address}`,
          `instance metadata ${address} for ${policies.join(', ')}`,
          [
            { kind: 'mark', value: names.classMark(id), mask: CLASS_MASK },
            { kind: 'destination', cidr: address },
            { kind: 'ports', protocol: 'tcp', ranges: [{ from: 80, to: 80 }] },
          ],
          policies.find((one) => one !== COMMON),
        ),
      ),
    )
}

export function dnatRules(input: BuildInput, family: Family): Rule[] {
  return metadataOf(input, family).map((cidr) =>
    denied(
      'metadata',
      [{ kind: 'originalDestination', cidr }],
      `cloud metadata ${cidr} before DNAT`,
      `dnat.${cidr}`,
    ),
  )
}
