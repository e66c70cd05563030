import type { Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import type { Chain, Hook, RuleMatch, Rule } from '../model.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { denied } from '../verdict.ts'
import { container, noContainer } from './budget.ts'
import { dispatch, hook } from './dispatch.ts'
import { dnsBudget } from './dns.ts'

const DNS = 53
/** DNS over TLS, which the gateway cannot read. */
const DNS_OVER_TLS = 853
const PROTOCOLS = ['udp', 'tcp'] as const

const REDIRECT_HOOK = hook(
  'nat',
  ['PREROUTING'],
  CHAIN.nat,
  'DNS of containers goes to the gateway, whomever they ask',
)

export const gatewayHooks = ({ config }: BuildInput): readonly Hook[] =>
  config.dns.gateway ? [REDIRECT_HOOK] : []

/** Leads every question of a container to the gateway, and lets those in that came this way. */
export function gatewayChains(input: BuildInput, family: Family): Chain[] {
  const { dns } = input.config
  if (!dns.gateway) return []
  return [
    { table: 'nat', name: CHAIN.nat, rules: dispatch(input, CHAIN.redirect) },
    { table: 'nat', name: CHAIN.redirect, rules: redirectRules(dns.port) },
    { table: 'filter', name: CHAIN.gateway, rules: budgetRules(input, family) },
  ]
}

const redirectRules = (port: number): Rule[] =>
  PROTOCOLS.map((protocol) =>
    rule({
      key: `redirect.${protocol}`,
      matches: [toPort(protocol, DNS)],
      target: { kind: 'redirect', port },
      action: 'redirect',
      words: `DNS over ${protocol} to the gateway`,
    }),
  )

/**
 * A question that was led here. Whatever else guards the host's INPUT has no say: the gateway is where containers' DNS ends. The gateway
 * itself limits questions, so this limit only spares it a flood.
 */
function budgetRules({ config }: BuildInput, family: Family): Rule[] {
  const { ratePerContainer: rate } = config.dns
  const words = `DNS, up to ${rate.count}/${rate.per}`
  const accepted = (key: string, text: string, matches: readonly RuleMatch[]): Rule =>
    rule({ key: `gateway.${key}`, matches, target: { kind: 'accept' }, action: 'allow', words: text })
  return [
    accepted('known', 'connection to the gateway', [
      { kind: 'protocol', protocol: 'tcp' },
      { kind: 'state', states: ['ESTABLISHED'] },
    ]),
    accepted('container', `${words}, each container`, [
      container(family),
      dnsBudget('container', rate, true),
    ]),
    accepted('others', `${words}, all that are no container together`, [
      noContainer(family),
      dnsBudget('others', rate, false),
    ]),
    denied('policy', [], 'more DNS than that', 'dns.over'),
  ]
}

/**
 * In INPUT, for every interface: only redirected questions reach the gateway, and none from outside or from the host itself. The gateway answers by the
 * address of the sender, which identifies a container only on a guarded bridge.
 */
export const notLedHere = ({ config }: BuildInput): Rule[] =>
  config.dns.gateway
    ? PROTOCOLS.map((protocol) =>
        rule({
          key: `gateway.direct.${protocol}`,
          matches: [toPort(protocol, config.dns.port), { kind: 'state', states: ['DNAT'], negate: true }],
          target: { kind: 'drop' },
          action: 'drop',
          words: `to the gateway over ${protocol}, and not led there`,
        }),
      )
    : []

/** In INPUT, ahead of all that judges the destination: it is the gateway, whatever the container named. */
export const toGateway = ({ config }: BuildInput): Rule[] =>
  config.dns.gateway
    ? PROTOCOLS.map((protocol) =>
        rule({
          key: `host.gateway.${protocol}`,
          matches: [
            { kind: 'state', states: ['DNAT'] },
            { kind: 'originalPort', port: DNS },
            toPort(protocol, config.dns.port),
          ],
          target: { kind: 'goto', chain: CHAIN.gateway },
          action: 'continue',
          words: `DNS over ${protocol}, led to the gateway`,
        }),
      )
    : []

/** Ways of asking that would bypass the gateway, which sees only port 53. */
export const pastGateway = ({ config }: BuildInput): Rule[] =>
  config.dns.gateway
    ? PROTOCOLS.map((protocol) =>
        denied(
          'policy',
          [
            {
              kind: 'ports',
              protocol,
              ranges: [DNS, DNS_OVER_TLS].map((port) => ({ from: port, to: port })),
            },
          ],
          `DNS over ${protocol} past the gateway`,
          `dns.past.${protocol}`,
        ),
      )
    : []

const toPort = (protocol: 'udp' | 'tcp', port: number): RuleMatch => ({
  kind: 'ports',
  protocol,
  ranges: [{ from: port, to: port }],
})
