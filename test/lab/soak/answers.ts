import type { DnsScript } from '../dns-script.ts'
import type { Action } from './action.ts'
import type { Random } from './random.ts'

/** Names whose answers change; whether they are in the config changes too. */
export const NAMES = Array.from({ length: 8 }, (_, index) => `name-${index}.example`)

/** What a DNS server says of a name changes; what is held of it stays until a good answer says otherwise. */
export const ANSWERS: readonly Action[] = [
  answer('addresses', 8, (random) => addresses(random, 1 + random.below(4))),
  answer('many-addresses', 2, (random) => ({ ...addresses(random, 40), truncate: true })),
  answer('turns', 2, (random) => ({
    turns: Array.from({ length: 4 }, () => ({ ...addresses(random, 1), ttl: 0 })),
  })),
  answer('alias', 2, (random) => ({ cname: `target-${random.below(3)}.example`, ttl: 1 })),
  answer('nxdomain', 3, () => ({ rcode: 'NXDOMAIN' })),
  answer('servfail', 2, () => ({ rcode: 'SERVFAIL' })),
  answer('timeout', 2, () => ({ silent: true })),
  answer('late', 1, (random) => ({ ...addresses(random, 1), delayMs: 700 })),
]

function answer(what: string, weight: number, script: (random: Random) => DnsScript): Action {
  return {
    name: `answer-${what}`,
    weight,
    run: async ({ lab }, random) => {
      const name = random.pick(NAMES)
      await lab.inet.dns({
        'target-0.example': { a: ['203.0.113.120'], aaaa: ['2001:db8:f::120'], ttl: 1 },
        'target-1.example': { a: ['203.0.113.121'], ttl: 5 },
        [name]: script(random),
      })
    },
  }
}

/** Of ranges where nothing is forbidden and nothing is allowed otherwise. */
function addresses(random: Random, count: number): DnsScript {
  const last = Array.from({ length: count }, () => 128 + random.below(126))
  return {
    a: last.map((byte) => `203.0.113.${byte}`),
    ...(random.below(2) === 0 ? { aaaa: last.map((byte) => `2001:db8:f::${byte.toString(16)}80`) } : {}),
    ttl: random.pick([0, 1, 5, 60]),
  }
}
