import { marksOf } from '../config/marks.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import type { BuildInput } from './build-input.ts'
import { denyRules, otherDenyChains } from './chains/deny.ts'
import { byNetwork, dispatch, hooksOf, outputHook, reservedFrames, sourceRules } from './chains/dispatch.ts'
import { gatewayChains, gatewayHooks, notLedHere } from './chains/gateway.ts'
import { lingerRules } from './chains/admitted.ts'
import { holdChains, holdRules } from './chains/hold.ts'
import { judgeRules, outputRules, verdictRules } from './chains/judge.ts'
import { errorRules, replyRules } from './chains/replies.ts'
import { dnsBudgetRules } from './chains/dns.ts'
import { hostRules, publishedRules } from './chains/host.ts'
import { dnatRules, wrappedChain } from './chains/metadata.ts'
import { bridgedRules, internetRules, okRules, passRules } from './chains/policy.ts'
import { rightsChains } from './chains/rights.ts'
import type { Chain, Dataplane, Ruleset, SetSpec } from './model.ts'
import * as names from './names.ts'
import { CHAIN } from './names.ts'
import { maxelemFor } from './set-size.ts'

/** How long a revoked flow stays denied by name, in seconds. */
export const REVOKED_SECONDS = 900

const LINGER_SECONDS = 86_400
/** The kernel's longest: for what is written from the engine's facts alone. */
const FOR_GOOD_SECONDS = 2_147_483

export function buildDataplane(input: BuildInput): Dataplane {
  return {
    rules: { 4: buildRuleset(input, 4), 6: buildRuleset(input, 6) },
    sets: FAMILIES.flatMap((family) => buildSets(input, family)),
    backstop: {
      marks: marksOf(input.config),
      generation: input.generation,
      open: input.interfaces.open.map(({ name, index, isDocker }) => ({ name, index, isDocker })),
      stacked: input.interfaces.stacked,
    },
  }
}

function buildRuleset(input: BuildInput, family: Family): Ruleset {
  const chains: Chain[] = [
    {
      table: 'raw',
      name: CHAIN.raw,
      rules: [reservedFrames, ...holdRules(input), ...dispatch(input, CHAIN.source)],
    },
    ...holdChains(input),
    { table: 'raw', name: CHAIN.source, rules: sourceRules() },
    { table: 'raw', name: names.denyChain('forged'), rules: denyRules(input, 'forged', family) },
    { table: 'filter', name: CHAIN.ok, rules: okRules(input) },
    { table: 'filter', name: CHAIN.pass, rules: passRules(input) },
    { table: 'filter', name: CHAIN.bridged, rules: bridgedRules(input) },
    { table: 'filter', name: CHAIN.forward, rules: dispatch(input, CHAIN.judge, byNetwork(input)) },
    { table: 'filter', name: CHAIN.judge, rules: judgeRules(family) },
    { table: 'filter', name: CHAIN.reply, rules: replyRules(input, family) },
    { table: 'filter', name: CHAIN.verdict, rules: verdictRules(input, family, 'forward') },
    { table: 'filter', name: CHAIN.error, rules: errorRules(input, family) },
    ...(input.rights
      ? [{ table: 'filter', name: CHAIN.linger, rules: lingerRules(input) } satisfies Chain]
      : []),
    {
      table: 'filter',
      name: CHAIN.input,
      rules: [...notLedHere(input), ...dispatch(input, CHAIN.host, byNetwork(input))],
    },
    ...(input.config.guard.hostNetwork
      ? [
          {
            table: 'filter',
            name: CHAIN.output,
            rules: outputRules(input, family),
          } satisfies Chain,
        ]
      : []),
    { table: 'filter', name: CHAIN.host, rules: hostRules(input, family) },
    { table: 'filter', name: CHAIN.published, rules: publishedRules(input) },
    { table: 'filter', name: CHAIN.dns, rules: dnsBudgetRules(input.config.dns.ratePerContainer, family) },
    { table: 'filter', name: CHAIN.dnat, rules: dnatRules(input, family) },
    ...(family === 6 ? [wrappedChain(input)] : []),
    { table: 'filter', name: CHAIN.internet, rules: internetRules(family) },
    ...gatewayChains(input, family),
    ...rightsChains(input, family),
    ...names.DENY_REASONS.filter((reason) => reason !== 'forged').map((reason): Chain => ({
      table: 'filter',
      name: names.denyChain(reason),
      rules: denyRules(input, reason, family),
    })),
    ...otherDenyChains(input, family),
  ]
  const { guard } = input.config
  const hooks = [...hooksOf(guard), ...(guard.hostNetwork ? [outputHook(guard)] : []), ...gatewayHooks(input)]
  return { chains, hooks }
}

function buildSets(input: BuildInput, family: Family): SetSpec[] {
  const spec = (name: string, type: SetSpec['type'], timeoutSeconds: number): SetSpec => ({
    name,
    family,
    type,
    timeout: timeoutSeconds,
    maxelem: maxelemFor(input.setSizes.get(name) ?? 0),
  })
  const everything = (name: string): SetSpec => spec(name, 'hash:net', FOR_GOOD_SECONDS)
  const maxStaleSeconds = Math.floor(input.config.resolver.maxStaleMs / 1000)
  return [
    ...input.policies.policies.flatMap((policy) =>
      policy.groups.map((group) =>
        spec(names.allowSet(policy.id, group.ports, family), 'hash:net', maxStaleSeconds),
      ),
    ),
    ...input.policies.policies.flatMap(({ id, internet, internetEnds }) =>
      internet
        .filter(({ text }) => internetEnds?.has(text))
        .map((ports) => everything(names.internetSet(id, ports, family))),
    ),
    ...(input.policies.admittedUntilMs === undefined ? [] : [everything(names.admittedSet(family))]),
    ...(input.policies.trialEndMs === undefined ? [] : [everything(names.trialSet(family))]),
    spec(names.revokedSet(family), 'hash:ip,port,ip', REVOKED_SECONDS),
    spec(names.lingerSet(family), 'hash:ip,port,ip', LINGER_SECONDS),
    spec(names.containersSet(family), 'hash:net', FOR_GOOD_SECONDS),
    spec(names.publishedSet(family), 'hash:net,port', FOR_GOOD_SECONDS),
    spec(names.servedSet(family), 'hash:net,port', FOR_GOOD_SECONDS),
    ...names.DENY_REASONS.map((reason) =>
      spec(names.deniedSet(reason, family), 'hash:net,iface', FOR_GOOD_SECONDS),
    ),
  ]
}
