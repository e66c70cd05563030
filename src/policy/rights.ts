import type { Config, PolicyConfig, PolicyMatch, SmtpConfig } from '../config/model.ts'
import { COMPOSE_PROJECT, COMPOSE_SERVICE, ownLabels, POLICY_LABEL } from '../workloads/own-labels.ts'
import { HOST_NETWORK } from '../workloads/host-network.ts'
import { isGuarded } from '../workloads/guarded.ts'
import type { Container, Endpoint } from '../workloads/model.ts'
import { COMMON } from './compile.ts'

/** The rights of at least one endpoint. Equal rights have equal keys. */
export interface Rights {
  readonly key: string
  /** The policies whose allow lists unite, `common` first where it is among them. */
  readonly policies: readonly string[]
  readonly metadata: boolean
  /** Undefined: mail ports are like any other. */
  readonly smtp: SmtpConfig | undefined
  readonly denyWith: 'drop' | 'reject'
}

/** A policy that applies to a container, and by which condition. */
export interface Matched {
  readonly policy: string
  readonly why: string
}

export type RightsConfig = Pick<Config, 'policies' | 'smtp' | 'denyWith'> & {
  readonly guard: Pick<Config['guard'], 'labels' | 'networks' | 'except' | 'hostNetwork'>
}

/** What a container may do on one of its guarded networks. */
export interface Standing {
  readonly endpoint: Endpoint
  readonly matched: readonly Matched[]
  readonly rights: Rights
}

export interface JudgedContainer {
  readonly standings: readonly Standing[]
  /** Labels with the value that a policy asks for, which do not count because they come from the image of the container. */
  readonly ignoredLabels: number
}

/** Which policies match which containers under one config. A container is matched once, and again when it is another object: with thousands of them, one event costs one match. */
export class Matching {
  readonly #tests: readonly PolicyTest[]
  readonly #asked: readonly (readonly [key: string, value: string])[]
  readonly #known = {
    own: new WeakMap<Container, JudgedContainer>(),
    host: new WeakMap<Container, JudgedContainer>(),
  }

  constructor(private readonly config: RightsConfig) {
    const honours = config.guard.labels === 'honour'
    this.#tests = config.policies.map((policy) => ({
      policy,
      conditions: policy.match.map(conditionOf),
      attaching: honours && policy.attachable,
    }))
    this.#asked = config.policies.flatMap(({ id, attachable, match }) => [
      ...(attachable && honours ? [[POLICY_LABEL, id] as const] : []),
      ...match.flatMap(({ label, compose }) => [
        ...(label ? [[label.key, label.value] as const] : []),
        ...(compose ? [[COMPOSE_PROJECT, compose.project] as const] : []),
      ]),
    ])
  }

  /** @param onHostNetwork itself, or through a container that it joined */
  of(container: Container, onHostNetwork: boolean): JudgedContainer {
    const isHeldThere = onHostNetwork && this.config.guard.hostNetwork
    const known = isHeldThere ? this.#known.host : this.#known.own
    const judged = known.get(container) ?? this.#judge(container, isHeldThere)
    known.set(container, judged)
    return judged
  }

  #judge(container: Container, isHeldThere: boolean): JudgedContainer {
    const labels = ownLabels(container)
    const endpoints = isHeldThere
      ? [container.endpoints.find(({ networkName }) => networkName === HOST_NETWORK) ?? ON_THE_HOST]
      : container.endpoints.filter(({ networkName }) => isGuarded(networkName, this.config.guard))
    const matchedBy = (endpoint: Endpoint, counted: Subject['labels']): AppliedPolicy[] =>
      this.#matched({
        name: container.name,
        networks: [endpoint.networkName, ...(endpoint.overlays ?? [])],
        policyLabels: endpoint.policyLabels ?? [],
        labels: counted,
      })
    const places = endpoints.map((endpoint) => ({ endpoint, here: matchedBy(endpoint, labels) }))
    const anywhere = places.flatMap(({ here }) => here)
    // The label of an image gives no rights. A label that takes rights away counts wherever it comes from.
    const inherits = endpoints.every((endpoint) =>
      matchedBy(endpoint, container.labels).every(({ policy }) => policy.inherit),
    )
    const ignored = this.#asked.filter(
      ([key, value]) => container.labels[key] === value && !Object.hasOwn(labels, key),
    )
    return {
      standings: places.map(({ endpoint, here }) => ({
        endpoint,
        matched: here.map(({ policy, why }) => ({ policy: policy.id, why })),
        rights: this.#rights(here, anywhere, inherits),
      })),
      ignoredLabels: new Set(ignored.map(([key]) => key)).size,
    }
  }

  #matched(subject: Subject): AppliedPolicy[] {
    return this.#tests.flatMap(({ policy, conditions, attaching }): AppliedPolicy[] => {
      const whys = conditions.filter(({ holds }) => holds(subject)).map(({ why }) => why)
      if (attaching && subject.labels[POLICY_LABEL] === policy.id)
        whys.push(`label ${POLICY_LABEL}=${policy.id}`)
      if (attaching && subject.policyLabels.includes(policy.id))
        whys.push(`label ${POLICY_LABEL}=${policy.id} of its network`)
      const [why] = whys
      return why === undefined ? [] : [{ policy, why, byLabelAlone: whys.every(isLabel) }]
    })
  }

  /**
   * Allow lists unite; `inherit: false` of any policy on any network takes the common list away on all of them, `metadata: allow` of any opens
   * metadata. Of several mail limits or ways to deny the first in the file counts.
   */
  #rights(here: readonly AppliedPolicy[], anywhere: readonly AppliedPolicy[], inherits: boolean): Rights {
    const local = here.map(({ policy }) => policy)
    return rightsOf({
      policies: [...(inherits ? [COMMON] : []), ...local.map(({ id }) => id)],
      metadata: anywhere.some(({ policy, byLabelAlone }) => policy.metadata === 'allow' && !byLabelAlone),
      smtp: local.find(({ smtp }) => smtp !== undefined)?.smtp ?? this.config.smtp,
      denyWith: local.find(({ denyWith }) => denyWith !== undefined)?.denyWith ?? this.config.denyWith,
    })
  }
}

/** The engine names no network for a container that joined one on the host's network. */
const ON_THE_HOST: Endpoint = {
  networkId: '',
  networkName: HOST_NETWORK,
  addresses: [],
  mac: undefined,
  gateways: [],
}

interface Subject {
  readonly name: string
  readonly networks: readonly string[]
  /** The policies that labels of those networks ask for. */
  readonly policyLabels: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}

interface Condition {
  readonly why: string
  readonly holds: (subject: Subject) => boolean
}

interface PolicyTest {
  readonly policy: PolicyConfig
  /** One of these has to hold. */
  readonly conditions: readonly Condition[]
  /** May its label attach it? */
  readonly attaching: boolean
}

interface AppliedPolicy {
  readonly policy: PolicyConfig
  /** The first of its conditions that holds. */
  readonly why: string
  /** It matches by labels alone, which the one who starts the container chooses. */
  readonly byLabelAlone: boolean
}

/** Adds the key, which does not depend on the order of the properties. */
export const rightsOf = (rights: Omit<Rights, 'key'>): Rights => ({
  key: JSON.stringify(rights, (_, value: unknown) => (isObject(value) ? inOrder(value) : value)),
  ...rights,
})

const inOrder = (value: object): object => Object.fromEntries(Object.entries(value).toSorted())

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isLabel = (why: string): boolean => why.startsWith('label ')

/** Every given part of a match has to hold. */
function conditionOf({ network, compose, container, label }: PolicyMatch): Condition {
  const parts: Condition[] = []
  if (network !== undefined)
    parts.push({ why: `network ${network}`, holds: (subject) => subject.networks.includes(network) })
  if (compose !== undefined) {
    const { project, service } = compose
    parts.push({
      why: `compose ${service === undefined ? project : `${project}/${service}`}`,
      holds: ({ labels }) =>
        labels[COMPOSE_PROJECT] === project && (service === undefined || labels[COMPOSE_SERVICE] === service),
    })
  }
  if (container !== undefined) {
    const test = globTest(container)
    parts.push({ why: `container ${container}`, holds: ({ name }) => test(name) })
  }
  if (label !== undefined)
    parts.push({
      why: `label ${label.key}=${label.value}`,
      holds: ({ labels }) => labels[label.key] === label.value,
    })
  return {
    why: parts.map(({ why }) => why).join(' and '),
    holds: (subject) => parts.every(({ holds }) => holds(subject)),
  }
}

/** `*` stands for any text, `?` for one character. */
export function globTest(pattern: string): (text: string) => boolean {
  const source = pattern.replaceAll(/[.*?]/g, (sign) => (sign === '*' ? '.*' : sign === '?' ? '.' : '\\.'))
  const test = new RegExp(`^${source}$`)
  return (text) => test.test(text)
}
