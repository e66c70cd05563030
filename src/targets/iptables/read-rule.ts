import type { Cidr, Protocol } from '../../net/types.ts'
import type { ConntrackState, Hashlimit, RuleMatch, RuleTarget } from '../../dataplane/model.ts'
import { QUOTES_OWN, RESERVED_FRAME } from './bytecode.ts'

/** A rule as the kernel's tool printed it, understood as far as it consists of matches and targets that we write ourselves. */
export interface ReadRule {
  readonly matches: readonly RuleMatch[]
  readonly target: RuleTarget | undefined
  /** Options that were not understood: then it is not known what the rule does. */
  readonly unknown: readonly string[]
}

/** Reads what follows `-A CHAIN`. The tool reorders and renames on the way through the kernel, so this is no mere inverse of writing. */
export function readRule(text: string): ReadRule {
  const words = tokenize(text)
  const matches: RuleMatch[] = []
  const unknown: string[] = []
  let target: RuleTarget | undefined
  let negate = false
  let protocol: Protocol | undefined
  const limit: { -readonly [K in keyof Hashlimit]?: Hashlimit[K] } = {}
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ''
    const next = (): string => words[++index] ?? ''
    switch (word) {
      case '!':
        negate = true
        continue
      case '-m':
        next()
        break
      case '--comment':
        next()
        break
      case '-i':
        matches.push({ kind: 'in', name: next() })
        break
      case '-o':
        matches.push({ kind: 'out', name: next() })
        break
      case '-d':
        matches.push({ kind: 'destination', cidr: bare(next()) })
        break
      case '-p':
        protocol = protocolOf(next())
        matches.push({ kind: 'protocol', protocol })
        break
      case '--dports':
      case '--dport': {
        const ranges = next().split(',').map(readRange)
        // A port match stands for its protocol too: the model has one match for both.
        if (protocol === 'tcp' || protocol === 'udp') {
          const bare = matches.findIndex((match) => match.kind === 'protocol')
          // A rule may ask for ports twice, and both hold.
          if (bare !== -1) matches.splice(bare, 1)
          matches.push({ kind: 'ports', protocol, ranges })
        } else unknown.push(word)
        break
      }
      case '--icmp-type':
      case '--icmpv6-type': {
        const type = next()
        // We never write a code, so with one the rule is not ours.
        if (/^\d+$/.test(type)) matches.push({ kind: 'icmpType', type: Number(type) })
        else unknown.push(word)
        break
      }
      case '--match-set':
        matches.push({ kind: 'set', set: next(), fields: next(), ...(negate ? { negate } : {}) })
        break
      case '--ctstate': {
        const states = next().split(',') as ConntrackState[]
        matches.push(negate ? { kind: 'state', states, negate } : { kind: 'state', states })
        break
      }
      case '--ctdir':
        matches.push({ kind: 'direction', direction: next() === 'REPLY' ? 'REPLY' : 'ORIGINAL' })
        break
      case '--ctorigdst':
        matches.push({ kind: 'originalDestination', cidr: bare(next()) })
        break
      case '--dst-type':
        if (next() === 'LOCAL') matches.push({ kind: 'toHost' })
        else unknown.push(word)
        break
      case '--ctorigdstport':
        matches.push({ kind: 'originalPort', port: Number(next()) })
        break
      case '--mark': {
        const kind = words[index - (negate ? 2 : 1)] === 'connmark' ? 'connmark' : 'mark'
        const [value = '0', mask = '0xffffffff'] = next().split('/')
        matches.push({
          kind,
          value: Number(value),
          mask: Number(mask),
          ...(negate ? { negate } : {}),
        })
        break
      }
      case '--bytecode': {
        const match = PROGRAMS.get(next())
        if (match) matches.push(match)
        else unknown.push(word)
        break
      }
      case '--physdev-is-bridged':
        matches.push(negate ? { kind: 'bridged', negate } : { kind: 'bridged' })
        break
      case '--physdev-out': {
        const out = next()
        const bridged = matches.findIndex((match) => match.kind === 'bridged')
        if (bridged !== -1) matches.splice(bridged, 1)
        matches.push({ kind: 'bridged', out })
        break
      }
      case '--invert':
        matches.push({ kind: 'forgedSource' })
        break
      case '--hashlimit-above':
      case '--hashlimit-upto': {
        const [count = '0', per = 'sec'] = next().split('/')
        Object.assign(limit, {
          side: word.slice(12),
          count: Number(count),
          per: UNITS[per] ?? per,
          bySource: false,
        })
        break
      }
      case '--hashlimit-burst':
        limit.burst = Number(next())
        break
      case '--hashlimit-mode':
        limit.bySource = next() === 'srcip'
        break
      case '--hashlimit-htable-expire':
        limit.expireMs = Number(next())
        break
      case '--hashlimit-name':
        limit.name = next()
        break
      case '-g':
        target = { kind: 'goto', chain: next() }
        break
      case '-j': {
        target = readTarget(next(), words.slice(index + 1))
        index = words.length
        break
      }
      default:
        unknown.push(word)
    }
    if (negate && !NEGATABLE.has(word)) unknown.push(`! ${word}`)
    negate = false
  }
  if (limit.name !== undefined) matches.push({ kind: 'hashlimit', limit: limit as Hashlimit })
  return { matches, target, unknown }
}

/** The matches that we negate ourselves. Any other negation is not understood, and must not be read as the match without it. */
const NEGATABLE: ReadonlySet<string> = new Set(['--ctstate', '--physdev-is-bridged', '--match-set', '--mark'])

/** Programs of ours that a rule can hold. */
const PROGRAMS: ReadonlyMap<string, RuleMatch> = new Map<string, RuleMatch>([
  [RESERVED_FRAME, { kind: 'reservedFrame' }],
  [QUOTES_OWN[4], { kind: 'quotesOwn' }],
  [QUOTES_OWN[6], { kind: 'quotesOwn' }],
])

const UNITS: Readonly<Record<string, Hashlimit['per']>> = {
  sec: 'second',
  min: 'minute',
  hour: 'hour',
  day: 'day',
}

function readTarget(name: string, options: readonly string[]): RuleTarget {
  const option = (flag: string): string => options[options.indexOf(flag) + 1] ?? ''
  const [value = '0', mask = '0'] = option('--set-xmark').split('/')
  switch (name) {
    case 'RETURN':
      return { kind: 'return' }
    case 'DROP':
      return { kind: 'drop' }
    case 'ACCEPT':
      return { kind: 'accept' }
    case 'REDIRECT':
      return { kind: 'redirect', port: Number(option('--to-ports')) }
    case 'REJECT':
      return { kind: 'reject', how: option('--reject-with') === 'tcp-reset' ? 'reset' : 'prohibited' }
    case 'NFQUEUE':
      return { kind: 'queue', queue: Number(option('--queue-num')) }
    case 'NFLOG':
      return { kind: 'log', prefix: option('--nflog-prefix').trim(), group: Number(option('--nflog-group')) }
    case 'MARK':
      if (Number(value) === 0) return { kind: 'clearMark', bit: Number(mask) }
      return Number(value) === Number(mask)
        ? { kind: 'setMark', bit: Number(value) }
        : { kind: 'mark', value: Number(value), mask: Number(mask) }
    case 'CONNMARK':
      if (options.includes('--save-mark')) return { kind: 'keepMark', mask: Number(option('--ctmask')) }
      if (options.includes('--restore-mark'))
        return {
          kind: Number(option('--nfmask')) === 0 ? 'mixConnmark' : 'takeMark',
          mask: Number(option('--ctmask')),
        }
      return { kind: 'setConnmark', value: Number(value), mask: Number(mask) }
    default:
      return { kind: 'jump', chain: name }
  }
}

function tokenize(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, bareWord]) => quoted ?? bareWord ?? '',
  )
}

/** The tool prints a full-length prefix where we write a bare address. */
const bare = (text: string): Cidr =>
  text.replace(/\/(32|128)$/, (all, length) => ((length === '128') === text.includes(':') ? '' : all)) as Cidr

function readRange(text: string): { from: number; to: number } {
  const [from, to] = text.split(':').map(Number)
  return { from: from ?? 0, to: to ?? from ?? 0 }
}

function protocolOf(name: string): Protocol {
  if (name === 'ipv6-icmp' || name === 'icmpv6') return 'icmp'
  return name as Protocol
}
