import { BRIDGED, generationMark } from '../../config/marks.ts'
import type { Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import type { RuleMatch, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { denied, passed } from '../verdict.ts'
import { admittedConnection, mixRights, untilEnd } from './admitted.ts'

/** Replies on connections that another side began, and ICMP errors about connections. */

const isReply: readonly RuleMatch[] = [
  { kind: 'state', states: ['ESTABLISHED'] },
  { kind: 'direction', direction: 'REPLY' },
]

/** Clients of a service on the host's network are judged by the host's own firewall. */
export const hostReply = rule({
  key: 'reply',
  matches: isReply,
  target: { kind: 'return' },
  action: 'return',
  words: 'reply to a client of a service on the host network',
})

/**
 * A reply can carry any data, so replies pass only to clients of published ports and to containers whose connection these rules admitted. Any other
 * reply is judged like a packet that the container sends by itself.
 */
export function replyRules(input: BuildInput, family: Family): Rule[] {
  return [
    rule({
      key: 'reply',
      matches: [{ kind: 'state', states: ['DNAT'] }],
      target: { kind: 'return' },
      action: 'return',
      words: 'reply to a client of a published port',
    }),
    denied(
      'revoked',
      [{ kind: 'set', set: names.revokedSet(family), fields: 'dst,src,src' }],
      'reply of a revoked flow between containers',
      'revoked.reply',
    ),
    passed('reply.container', 'reply to another container whose connection was admitted', [
      ...wasAdmitted(input),
      ...untilEnd(input, family),
    ]),
    passed('reply.served', "reply to a client of a published port, by the container's own address", [
      { kind: 'set', set: names.servedSet(family), fields: 'src,src' },
    ]),
    ...(input.config.guard.inbound === 'any'
      ? [passed('reply.inbound', 'reply to anybody who connected: guard.inbound is any', [])]
      : []),
    toVerdict,
  ]
}

export const toReply = rule({
  key: 'replies',
  matches: isReply,
  target: { kind: 'goto', chain: CHAIN.reply },
  action: 'continue',
  words: 'reply to who connected',
})

export const toVerdict = rule({
  key: 'verdict',
  target: { kind: 'goto', chain: CHAIN.verdict },
  action: 'continue',
  words: 'by where it goes',
})

/** Below what forbids a destination: an error carries data like any other packet. */
export const toError = rule({
  key: 'error',
  matches: [
    { kind: 'protocol', protocol: 'icmp' },
    { kind: 'state', states: ['RELATED'] },
  ],
  target: { kind: 'goto', chain: CHAIN.error },
  action: 'continue',
  words: 'ICMP error about a known connection',
})

/**
 * An ICMP error passes only from the container that received the packet it quotes, and only about a connection that passes itself: the kernel
 * takes whoever quotes a connection for related to it.
 */
export function errorRules(input: BuildInput, family: Family): Rule[] {
  const { rights, config } = input
  const whileAdmitted = untilEnd(input, family)
  const about = (key: string, text: string, matches: readonly RuleMatch[]): Rule =>
    passed(`error.${key}`, `ICMP error ${text}`, [...matches, { kind: 'quotesOwn' }])
  const own = admittedConnection(input)
  const admitted = 'about an admitted connection of its own'
  const isReply: RuleMatch = { kind: 'direction', direction: 'REPLY' }
  const isOwn: RuleMatch = { kind: 'direction', direction: 'ORIGINAL' }
  return [
    // The bridge holds those to their senders where it knows them.
    passed('error.bridged', 'ICMP error between containers of one network', [
      { kind: 'bridged', out: 'veth+' },
    ]),
    ...(rights
      ? [
          mixRights(input, 'error.compare', 'the rights of the connection against those of the container', [
            isOwn,
          ]),
          about('own', admitted, [
            ...own,
            { kind: 'mark', value: 0, mask: config.guard.marks.rights },
            ...whileAdmitted,
          ]),
          mixRights(input, 'error.other', 'not the same', [isOwn]),
        ]
      : [about('own', admitted, [...own, ...whileAdmitted])]),
    about('published', 'to a client of a published port', [isReply, { kind: 'state', states: ['DNAT'] }]),
    about('container', 'to another container whose connection was admitted', [
      isReply,
      ...wasAdmitted(input),
      ...whileAdmitted,
    ]),
    ...(config.guard.inbound === 'any'
      ? [about('inbound', 'to anybody who connected: guard.inbound is any', [isReply])]
      : []),
    denied('policy', [], 'ICMP error about a connection that is not its own', 'error.deny'),
  ]
}

/** In any generation: that of a live connection changes with its next packet. */
const wasAdmitted = ({ config: { guard } }: BuildInput): readonly RuleMatch[] =>
  [0, BRIDGED].map((generation) => ({
    kind: 'connmark',
    value: generationMark(guard.marks, generation),
    mask: guard.marks.generation,
    negate: true,
  }))
