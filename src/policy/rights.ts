import type { Config, PolicyConfig, PolicyMatch, SmtpConfig } from '../config/model.ts'
import { COMPOSE_PROJECT, COMPOSE_SERVICE, ownLabels } from '../workloads/own-labels.ts'
import type { Container } from '../workloads/model.ts'
import { COMMON } from './compile.ts'

/** A combination of rights that at least one endpoint has. Equal rights have equal keys. */
export interface Rights {
  readonly key: string
  /** Whose allow lists unite, `common` first where it is among them. */
  readonly policies: readonly string[]
  readonly metadata: boolean
  /** Undefined: mail ports are like any other. */
  readonly smtp: SmtpConfig | undefined
  readonly denyWith: 'drop' | 'reject'
}

/** A policy that holds for a container, and by what. */
export interface Matched {
  readonly policy: string
  readonly why: string
}

type RightsConfig = Pick<Config, 'policies' | 'smtp' | 'denyWith'> & {
  readonly guard: Pick<Config['guard'], 'labels'>
}

const ATTACHING_LABEL = 'embargod.policy'

/** What holds for a container on one of its networks. */
export function matchedPolicies(config: RightsConfig, container: Container, network: string): Matched[] {
  const labels = ownLabels(container)
  return config.policies.flatMap((policy): Matched[] => {
    const reasons = policy.match.map((match) => whyMatches(match, container.name, network, labels))
    const why =
      reasons.find((reason) => reason !== undefined) ??
      (isAttached(config, policy, labels) ? `label ${ATTACHING_LABEL}=${policy.id}` : undefined)
    return why === undefined ? [] : [{ policy: policy.id, why }]
  })
}

/**
 * Allow lists unite; `inherit: false` of any policy on any network takes the common list away on all of them, `metadata: allow` of any opens
 * metadata. Of several mail limits or ways to deny the first in the file counts.
 */
export function rightsAt(config: RightsConfig, container: Container, network: string): Rights {
  const byId = new Map(config.policies.map((policy) => [policy.id, policy]))
  const here = matchedPolicies(config, container, network)
  const anywhere = container.endpoints.flatMap(({ networkName }) =>
    matchedPolicies(config, container, networkName),
  )
  const matched = [...here, ...anywhere].flatMap((one) => {
    const policy = byId.get(one.policy)
    return policy ? [{ ...one, config: policy }] : []
  })
  const local = here.flatMap(({ policy }) => byId.get(policy) ?? [])
  return rightsOf({
    policies: [...(matched.every((one) => one.config.inherit) ? [COMMON] : []), ...local.map(({ id }) => id)],
    metadata: matched.some((one) => one.config.metadata === 'allow' && !byLabel(one.why)),
    smtp: local.find(({ smtp }) => smtp !== undefined)?.smtp ?? config.smtp,
    denyWith: local.find(({ denyWith }) => denyWith !== undefined)?.denyWith ?? config.denyWith,
  })
}

/** Labels that a policy asks for, with the value that it asks for, and that count for nothing since the image of the container brings them. */
export function ignoredLabels(config: RightsConfig, container: Container): number {
  const own = ownLabels(container)
  const asked = config.policies.flatMap(({ id, attachable, match }) => [
    ...(attachable && config.guard.labels === 'honour' ? [[ATTACHING_LABEL, id]] : []),
    ...match.flatMap(({ label, compose }) => [
      ...(label ? [[label.key, label.value]] : []),
      ...(compose ? [[COMPOSE_PROJECT, compose.project]] : []),
    ]),
  ])
  const ignored = asked.filter(
    ([key = '', value]) => container.labels[key] === value && !Object.hasOwn(own, key),
  )
  return new Set(ignored.map(([key]) => key)).size
}

const rightsOf = (rights: Omit<Rights, 'key'>): Rights => ({ key: JSON.stringify(rights), ...rights })

/** By nothing but a label, which whoever starts a container chooses. */
const byLabel = (why: string): boolean => why.startsWith('label ')

const isAttached = (
  { guard }: RightsConfig,
  { attachable, id }: PolicyConfig,
  labels: Readonly<Record<string, string>>,
): boolean => guard.labels === 'honour' && attachable && labels[ATTACHING_LABEL] === id

/** Undefined: it does not match. */
function whyMatches(
  { network, compose, container, label }: PolicyMatch,
  name: string,
  its: string,
  labels: Readonly<Record<string, string>>,
): string | undefined {
  const conditions: (readonly [holds: boolean, why: string])[] = []
  if (network !== undefined) conditions.push([network === its, `network ${network}`])
  if (compose !== undefined) {
    const { project, service } = compose
    const holds =
      labels[COMPOSE_PROJECT] === project && (service === undefined || labels[COMPOSE_SERVICE] === service)
    conditions.push([holds, `compose ${service === undefined ? project : `${project}/${service}`}`])
  }
  if (container !== undefined) conditions.push([globTest(container)(name), `container ${container}`])
  if (label !== undefined)
    conditions.push([labels[label.key] === label.value, `label ${label.key}=${label.value}`])
  return conditions.every(([holds]) => holds) ? conditions.map(([, why]) => why).join(' and ') : undefined
}

function globTest(pattern: string): (text: string) => boolean {
  const source = pattern.replaceAll(/[.*?]/g, (sign) => (sign === '*' ? '.*' : sign === '?' ? '.' : '\\.'))
  const test = new RegExp(`^${source}$`)
  return (text) => test.test(text)
}
