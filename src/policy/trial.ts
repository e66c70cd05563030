import { cidrContains } from '../net/cidr.ts'
import type { Cidr, Hostname, PortList } from '../net/types.ts'
import { endsOf, NEVER_HELD, type NameEnd } from './ends.ts'
import type { Group, Policies, Policy } from './model.ts'

/**
 * Rights of a config on trial: what the config before it does not give as well ends with the trial, unless somebody confirms it.
 * So it ends in the kernel, too, when nobody is left who could take it back.
 */
export function onTrial(tried: Policies, before: Policies, trialEndMs: number): Policies {
  const endOn = (ownMs: number, beforeMs: number): number => Math.min(ownMs, Math.max(trialEndMs, beforeMs))
  return {
    ...tried,
    policies: tried.policies.map((policy) =>
      limited(policy, before.policies.find(({ id }) => id === policy.id) ?? NOTHING, endOn),
    ),
    admittedUntilMs: Math.min(tried.admittedUntilMs ?? Infinity, trialEndMs),
    trialEndMs,
  }
}

/** The rights before, as they hold when the trial is over: what was admitted meanwhile is judged by them. */
export const afterTrial = (before: Policies, trialEndMs: number): Policies => ({
  ...before,
  admittedUntilMs: Math.min(before.admittedUntilMs ?? Infinity, trialEndMs),
})

type EndOn = (ownMs: number, beforeMs: number) => number

function limited(policy: Policy, before: Policy, endOn: EndOn): Policy {
  const internetEnds = policy.internet.map(({ text, specs }): [string, number] => {
    const own = policy.internetEnds?.get(text) ?? Infinity
    const same = before.internet.filter((ports) => covers(ports, { text, specs }))
    return [text, endOn(own, latest(same.map((ports) => before.internetEnds?.get(ports.text) ?? Infinity)))]
  })
  return {
    ...policy,
    groups: policy.groups.map((group) =>
      limitedGroup(
        group,
        before.groups.filter(({ ports }) => covers(ports, group.ports)),
        endOn,
      ),
    ),
    internetEnds: new Map(internetEnds.filter(([, endMs]) => endMs !== Infinity)),
  }
}

function limitedGroup(group: Group, before: readonly Group[], endOn: EndOn): Group {
  const names = [...group.names.keys()].map((name): [Hostname, NameEnd] => {
    const own = endOfName(group, name)
    const earlier = before.map((one) => endOfName(one, name))
    return [
      name,
      {
        publicMs: endOn(own.publicMs, latest(earlier.map(({ publicMs }) => publicMs))),
        privateMs: endOn(own.privateMs, latest(earlier.map(({ privateMs }) => privateMs))),
      },
    ]
  })
  const cidrs = [...group.cidrs.keys()].map((cidr): [Cidr, number] => {
    const own = group.ends?.cidrs.get(cidr) ?? Infinity
    return [cidr, endOn(own, latest(before.map((one) => endOfCidr(one, cidr))))]
  })
  return { ...group, ends: endsOf(new Map(names), new Map(cidrs)) }
}

function endOfName({ names, ends }: Group, name: Hostname): NameEnd {
  const isPrivate = names.get(name)
  if (isPrivate === undefined) return { publicMs: NEVER_HELD, privateMs: NEVER_HELD }
  return ends?.names.get(name) ?? { publicMs: Infinity, privateMs: isPrivate ? Infinity : NEVER_HELD }
}

/** A larger network that was allowed before gives the right as well. */
function endOfCidr({ cidrs, ends }: Group, cidr: Cidr): number {
  const endMs = (one: Cidr): number => ends?.cidrs.get(one) ?? Infinity
  // Lists have many thousands of networks, and a trial changes few of them.
  if (cidrs.has(cidr) && endMs(cidr) === Infinity) return Infinity
  return latest([...cidrs.keys()].filter((outer) => cidrContains(outer, cidr)).map(endMs))
}

const covers = (outer: PortList, inner: PortList): boolean =>
  inner.specs.every((one) =>
    outer.specs.some(
      (other) =>
        other.protocol === one.protocol &&
        (!('from' in one) || ('from' in other && other.from <= one.from && other.to >= one.to)),
    ),
  )

const latest = (ends: readonly number[]): number => Math.max(NEVER_HELD, ...ends)

const NOTHING: Policy = { id: '', groups: [], internet: [] }
