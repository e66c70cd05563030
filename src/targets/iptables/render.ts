import type { Family } from '../../net/types.ts'
import { shortHash } from '../../dataplane/names.ts'
import type { RuleMatch, Rule, RuleTarget } from '../../dataplane/model.ts'
import { QUOTES_OWN, RESERVED_FRAME } from './bytecode.ts'

/** What follows `-A CHAIN` in the restore format, the comment with its fingerprint included. */
export function renderRule(rule: Rule, family: Family): string {
  const body = [...renderMatches(rule.matches, family), renderTarget(rule, family)]
    .filter((part) => part !== '')
    .join(' ')
  const fingerprint = shortHash(`${body} ${rule.words} ${rule.key} ${rule.policy} ${rule.action}`)
  return `-m comment --comment "${rule.words} [${rule.key} ${fingerprint}]" ${body}`.trimEnd()
}

/** The `[key fingerprint]` that ends every comment of ours. */
export function fingerprintOf(text: string): { key: string; fingerprint: string } | undefined {
  const found = /--comment "?[^"]*\[([a-z0-9.:/_-]+) ([0-9a-f]{8})\]"?/.exec(text)
  return found ? { key: found[1] ?? '', fingerprint: found[2] ?? '' } : undefined
}

/** Neighbouring matches about connection tracking are written as one, since the kernel evaluates each for every packet. One match takes no option twice. */
function renderMatches(matches: readonly RuleMatch[], family: Family): string[] {
  const asked = new Set<string>()
  return matches.map((match) => {
    const text = renderMatch(match, family)
    const option = text.startsWith(CONNTRACK) ? / (--ct\w+)/.exec(text)?.[1] : undefined
    if (option === undefined) {
      asked.clear()
      return text
    }
    const joins = asked.size > 0 && !asked.has(option)
    if (!joins) asked.clear()
    asked.add(option)
    return joins ? text.slice(CONNTRACK.length) : text
  })
}

const CONNTRACK = '-m conntrack '

function renderMatch(match: RuleMatch, family: Family): string {
  switch (match.kind) {
    case 'in':
      return `-i ${match.name}`
    case 'out':
      return `-o ${match.name}`
    case 'destination':
      return `-d ${match.cidr}`
    case 'originalDestination':
      return `${CONNTRACK}--ctorigdst ${match.cidr}`
    case 'toHost':
      return '-m addrtype --dst-type LOCAL'
    case 'originalPort':
      return `${CONNTRACK}--ctorigdstport ${match.port}`
    case 'protocol':
      return `-p ${protocolName(match.protocol, family)}`
    case 'protocolNumber':
      return `-p ${match.number}`
    case 'icmpType':
      return family === 4
        ? `-p icmp -m icmp --icmp-type ${match.type}`
        : `-p ipv6-icmp -m icmp6 --icmpv6-type ${match.type}`
    case 'ports':
      return `-p ${match.protocol} -m multiport --dports ${match.ranges
        .map(({ from, to }) => (from === to ? from : `${from}:${to}`))
        .join(',')}`
    case 'set':
      return `-m set ${match.negate ? '! ' : ''}--match-set ${match.set} ${match.fields}`
    case 'state':
      return `${CONNTRACK}${match.negate ? '! ' : ''}--ctstate ${match.states.join(',')}`
    case 'direction':
      return `${CONNTRACK}--ctdir ${match.direction}`
    case 'connmark':
    case 'mark':
      return `-m ${match.kind} ${match.negate ? '! ' : ''}--mark ${hex(match.value)}/${hex(match.mask)}`
    case 'bridged':
      return `-m physdev ${match.negate ? '! ' : ''}--physdev-is-bridged${match.out ? ` --physdev-out ${match.out}` : ''}`
    case 'forgedSource':
      return '-m rpfilter --invert'
    case 'reservedFrame':
      return `-m bpf --bytecode "${RESERVED_FRAME}"`
    case 'quotesOwn':
      return `-m bpf --bytecode "${QUOTES_OWN[family]}"`
    case 'hashlimit': {
      const { name, side, count, per, burst, bySource, expireMs } = match.limit
      const expire = expireMs === undefined ? '' : ` --hashlimit-htable-expire ${expireMs}`
      const mode = bySource ? ' --hashlimit-mode srcip' : ''
      return `-m hashlimit --hashlimit-${side} ${count}/${per} --hashlimit-burst ${burst}${mode} --hashlimit-name ${name}${expire}`
    }
    default:
      return match satisfies never
  }
}

/** ICMP is another protocol with another name in the IPv6 family. */
export const protocolName = (protocol: string, family: Family): string =>
  protocol === 'icmp' && family === 6 ? 'ipv6-icmp' : protocol

function renderTarget(rule: Rule, family: Family): string {
  const { target } = rule
  return target ? renderTargetOf(target, family) : ''
}

function renderTargetOf(target: RuleTarget, family: Family): string {
  switch (target.kind) {
    case 'jump':
      return `-j ${target.chain}`
    case 'goto':
      return `-g ${target.chain}`
    case 'return':
      return '-j RETURN'
    case 'drop':
      return '-j DROP'
    case 'accept':
      return '-j ACCEPT'
    case 'redirect':
      return `-j REDIRECT --to-ports ${target.port}`
    case 'reject':
      if (target.how === 'reset') return '-j REJECT --reject-with tcp-reset'
      return `-j REJECT --reject-with ${family === 4 ? 'icmp-admin-prohibited' : 'icmp6-adm-prohibited'}`
    case 'log':
      return `-j NFLOG --nflog-prefix "${target.prefix} " --nflog-group ${target.group}`
    case 'queue':
      return `-j NFQUEUE --queue-num ${target.queue}`
    case 'setMark':
      return `-j MARK --set-xmark ${hex(target.bit)}/${hex(target.bit)}`
    case 'clearMark':
      return `-j MARK --set-xmark 0x0/${hex(target.bit)}`
    case 'mark':
      return `-j MARK --set-xmark ${hex(target.value)}/${hex(target.mask)}`
    case 'setConnmark':
      return `-j CONNMARK --set-xmark ${hex(target.value)}/${hex(target.mask)}`
    case 'keepMark':
      return `-j CONNMARK --save-mark --nfmask ${hex(target.mask)} --ctmask ${hex(target.mask)}`
    case 'takeMark':
      return `-j CONNMARK --restore-mark --nfmask ${hex(target.mask)} --ctmask ${hex(target.mask)}`
    case 'mixConnmark':
      return `-j CONNMARK --restore-mark --nfmask 0x0 --ctmask ${hex(target.mask)}`
    default:
      return target satisfies never
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`
