import type { PortList } from '../net/types.ts'
import type { Group, Policies, Policy } from './model.ts'

/** The policies of a config on trial, and those that are in force again when the trial ends. */
export interface TrialPolicies {
  readonly tried: Policies
  readonly before: Policies
}

/** Both are in the kernel at once. Port lists that differ between them get sets of their own, so that neither config opens anything for the other. */
export function onTrial(tried: Policies, before: Policies, trialEndMs: number): TrialPolicies {
  return {
    tried: { ...tried, trialEndMs, admittedUntilMs: earlier(tried.admittedUntilMs, trialEndMs) },
    before: {
      ...before,
      policies: before.policies.map((policy) => apart(policy, policyOf(tried, policy.id))),
      // What was admitted during the trial is judged by the rules before it.
      admittedUntilMs: earlier(before.admittedUntilMs, trialEndMs),
    },
  }
}

/** The parts of the policies that fill sets which only the rules before the trial use. */
export const onlyBefore = ({ policies }: Policies, tried: Policies): Policy[] =>
  policies.map((policy) => {
    const { groups, internet } = policyOf(tried, policy.id)
    return {
      ...policy,
      groups: policy.groups.filter(({ ports }) => !groups.some((one) => one.ports.text === ports.text)),
      internet: policy.internet.filter(({ text }) => !internet.some((one) => one.text === text)),
    }
  })

function apart(policy: Policy, tried: Policy): Policy {
  const isShared = (text: string): boolean => policy.internetEnds?.get(text) === tried.internetEnds?.get(text)
  return {
    ...policy,
    groups: policy.groups.map((group) => {
      const other = tried.groups.find(({ ports }) => ports.text === group.ports.text)
      return !other || contentOf(group) === contentOf(other)
        ? group
        : { ...group, ports: renamed(group.ports) }
    }),
    internet: policy.internet.map((ports) => (isShared(ports.text) ? ports : renamed(ports))),
    internetEnds:
      policy.internetEnds &&
      new Map(
        [...policy.internetEnds].map(([text, endMs]) => [isShared(text) ? text : `${text}${MARK}`, endMs]),
      ),
  }
}

/** The text of a port list names its sets and rules, its specs say which ports they are. */
const renamed = ({ text, specs }: PortList): PortList => ({ text: `${text}${MARK}`, specs })
const MARK = ' before the trial'

const contentOf = ({ names, cidrs, ends }: Group): string =>
  JSON.stringify([
    [...names].toSorted(),
    [...cidrs].toSorted(),
    [...(ends?.names ?? [])].toSorted(),
    [...(ends?.cidrs ?? [])].toSorted(),
  ])

const policyOf = ({ policies }: Policies, id: string): Policy =>
  policies.find((policy) => policy.id === id) ?? { id, groups: [], internet: [] }

const earlier = (endMs: number | undefined, other: number): number => Math.min(endMs ?? Infinity, other)
