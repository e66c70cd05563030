import { describe, expect, it } from 'vitest'
import { load, problemsIn } from './files.ts'

/** [what is written, where and what the complaint is] */
type Case = [yaml: string, ...problems: string[]]

const startsWith = (problems: readonly string[], expected: readonly string[]): void => {
  expect(problems.map((problem, i) => problem.slice(0, expected[i]?.length ?? problem.length))).toEqual(
    expected,
  )
}

describe('YAML', () => {
  it.each<Case>([
    ['a: [1,\nb: 2\n', 'embargod.yaml:2:1: YAML: '],
    ['denyWith: drop\ndenyWith: reject\n', 'embargod.yaml:2:1: this key is in the same map twice'],
    ['log: { level: info, level: warn }\n', 'embargod.yaml:1:21: this key is in the same map twice'],
    ['log:\n\tlevel: info\n', 'embargod.yaml:2:1: tabs cannot indent YAML'],
    ['log: {}\n---\nlog: {}\n', 'embargod.yaml:2:1: a second document starts here'],
    ['allow:\n  - !secret a.example\n', 'embargod.yaml:2:5: YAML: Unresolved tag: !secret'],
    [
      'allow:\n  - *.example.com\n',
      'embargod.yaml:2:5: "*.example.com" needs quotes: to YAML a star in front is something else',
    ],
    [
      'allow:\n  - *.x.example\n  - **.x.example:443\n',
      'embargod.yaml:2:5: "*.x.example" needs quotes',
      'embargod.yaml:3:5: "**.x.example:443" needs quotes',
    ],
    ['allow: *nowhere\n', 'embargod.yaml:1:8: "*nowhere" names an anchor that is not there'],
    ['- a.example\n', 'embargod.yaml:1:1: a config is a map of keys, like "allow:", and not a list'],
    ['hello\n', 'embargod.yaml:1:1: a config is a map of keys, like "allow:", and not a single value'],
  ])('%j', async (yaml, ...expected) => {
    startsWith(await problemsIn(yaml), expected)
  })

  it('refuses an alias bomb in no time and with one problem', async () => {
    const levels = Array.from(
      { length: 30 },
      (_, i) => `x${i}: &a${i} [${`${i === 0 ? 'x' : `*a${i - 1}`}, `.repeat(9)}]`,
    )
    const problems = await problemsIn(levels.join('\n'))
    expect(problems.filter((problem) => problem.includes('nests or repeats too much'))).toHaveLength(1)
  })

  it('understands anchors', async () => {
    const { config } = await load(
      'allow:\n  - { domain: a.example, ports: &web [443] }\n  - { domain: b.example, ports: *web }\n',
    )
    expect(config?.allow.map(({ ports }) => ports.text)).toEqual(['443/tcp', '443/tcp'])
  })
})

describe('keys and values', () => {
  it.each<Case>([
    ['denywith: drop\n', 'embargod.yaml:1:1: unknown key "denywith": did you mean denyWith?'],
    ['guard:\n  netwroks: all\n', 'embargod.yaml:2:3: unknown key "netwroks": did you mean networks?'],
    ['frobnicate: 1\n', 'embargod.yaml:1:1: unknown key "frobnicate"'],
    ['__proto__: { a: 1 }\n', 'embargod.yaml:1:1: unknown key "__proto__"'],
    ['guard: { hostServices: [ssh] }\n', 'embargod.yaml:1:25: "ssh" is no port'],
    [
      'guard: { hostServices: [icmp, 70000/tcp] }\n',
      'embargod.yaml:1:31: "70000/tcp": ports go from 1 to 65535',
    ],
    ['guard: { hostServices: ping }\n', 'embargod.yaml:1:24: guard.hostServices must be all or a list of'],
    ['guard: { hostServices: {} }\n', 'embargod.yaml:1:24: guard.hostServices must be all or a list of'],
    ['guard: { hostServices: [{}] }\n', 'embargod.yaml:1:25: '],
    ['guard: { hostNetwork: host }\n', 'embargod.yaml:1:23: guard.hostNetwork must be true or false'],
    [
      'guard: { hostNetwork: true, mark: 0x10000000 }\n',
      'embargod.yaml:1:35: guard.mark (0x10000000) shares bits with guard.marks.hostNetwork (0x10000000), which tells the network of the host',
    ],
    ['guard: { unknown: drop }\n', 'embargod.yaml:1:19: guard.unknown must be common or deny'],
    [
      'guard: { mark: 0x20 }\n',
      'embargod.yaml:1:16: guard.mark (0x20) shares bits with guard.marks.rights (0xff8), which tells policies apart: choose others',
    ],
    [
      'guard: { marks: { rights: 0xff0 } }\n',
      'embargod.yaml:1:27: guard.marks.rights must be at least 9 bits wide',
    ],
    [
      'guard: { marks: { rights: 0xff1f } }\n',
      'embargod.yaml:1:27: guard.marks.rights must be bits of 32 that stand side by side',
    ],
    [
      'guard: { marks: { generation: 0x7f000000 } }\n',
      'embargod.yaml:1:31: guard.marks.generation must be at least 8 bits wide',
    ],
    [
      'guard: { marks: { generation: 0x1ff00000000 } }\n',
      'embargod.yaml:1:31: guard.marks.generation must be bits of 32',
    ],
    [
      'guard: { marks: { hostNetwork: 3 } }\n',
      'embargod.yaml:1:32: guard.marks.hostNetwork must be exactly one bit of 32',
    ],
    ['guard: { marks: { right: 1 } }\n', 'embargod.yaml:1:19: unknown key "right": did you mean rights?'],
    ['guard: { marks: 5 }\n', 'embargod.yaml:1:17: guard.marks must be'],
    [
      'guard: { marks: { rights: 0x1ff00000 } }\nmetadata: {}\n',
      'embargod.yaml:1:27: guard.marks.rights (0x1ff00000) shares bits with guard.marks.generation (0xff000000), which tells when a connection was admitted',
    ],
    [
      'guard: { marks: { generation: 0xff0 } }\n',
      'embargod.yaml:1:31: guard.marks.generation (0xff0) shares bits with guard.marks.rights (0xff8)',
    ],
    [
      'guard: { marks: { hostNetwork: 0x20000000 } }\n',
      'embargod.yaml:1:32: guard.marks.hostNetwork (0x20000000) shares bits with guard.mark (0x20000000)',
    ],
    [
      'guard: { marks: { hostNetwork: 0x100 } }\n',
      'embargod.yaml:1:32: guard.marks.hostNetwork (0x100) shares bits with guard.marks.rights (0xff8)',
    ],
    ['policies: [a]\n', 'embargod.yaml:1:11: policies must be'],
    ['policies: { Shop: { match: { network: a } } }\n', 'embargod.yaml:1:13: "Shop" is no policy name'],
    ['policies: { common: { match: { network: a } } }\n', 'embargod.yaml:1:13: the name common is taken'],
    ['policies: { a: { metch: {} } }\n', 'embargod.yaml:1:18: unknown key "metch": did you mean match?'],
    ['policies: { a: { match: {} } }\n', 'embargod.yaml:1:25: policies.a.match is empty'],
    [
      'policies: { a: { match: [{ netwrk: x }] } }\n',
      'embargod.yaml:1:28: unknown key "netwrk": did you mean network?',
    ],
    ['policies: { a: { match: { compose: Shop } } }\n', 'embargod.yaml:1:36: "Shop" is no compose project'],
    [
      'policies: { a: { match: { label: tier } } }\n',
      'embargod.yaml:1:34: "tier" is no label: write key=value',
    ],
    ['policies: { a: { match: { container: "a b" } } }\n', 'embargod.yaml:1:38: "a b" is no container name'],
    [
      'policies: { a: { match: { network: x }, allow: [169.254.169.254] } }\n',
      'embargod.yaml:1:49: 169.254.169.254 lies in 169.254.0.0/16',
    ],
    [
      'policies: { a: { match: { network: x }, mode: audit } }\n',
      'embargod.yaml:1:47: policies.a.mode must be enforce',
    ],
    [
      'policies: { a: { match: { network: x }, smtp: { burst: 0 } } }\n',
      'embargod.yaml:1:56: policies.a.smtp.burst must be at least 1',
    ],
    ['dns: { gateway: yes }\n', 'embargod.yaml:1:17: dns.gateway must be true or false'],
    ['dns: { gatway: true }\n', 'embargod.yaml:1:8: unknown key "gatway": did you mean gateway?'],
    ['dns: { upstreams: [dns.example] }\n', 'embargod.yaml:1:20: "dns.example" is no name server'],
    [
      'dns: { upstreams: [9.9.9.9, "tls://9.9.9.9"] }\n',
      'embargod.yaml:1:29: "tls://9.9.9.9" lacks the name in the certificate: write tls://9.9.9.9#dns.example.com',
    ],
    ['dns: { denied: servfail }\n', 'embargod.yaml:1:16: dns.denied must be nxdomain or refused or zero'],
    ['dns: { log: some }\n', 'embargod.yaml:1:13: dns.log must be denied or all or none'],
    ['dns: { maxHold: 0s }\n', 'embargod.yaml:1:17: 0s is out of bounds: from 1ms to 5s'],
    ['dns: { maxHold: 5001ms }\n', 'embargod.yaml:1:17: 5001ms is out of bounds: from 1ms to 5s'],
    ['dns: { maxHold: 100 }\n', 'embargod.yaml:1:17: dns.maxHold must be a duration'],
    ['dns: { minTtl: 2h }\n', 'embargod.yaml:1:16: 2h is out of bounds: from 0s to 1h'],
    ['dns: { minTtl: 1500ms }\n', 'embargod.yaml:1:16: 1500ms is not in whole seconds'],
    ['dns: { maxTtl: 0s }\n', 'embargod.yaml:1:16: 0s is out of bounds: from 1s to 1d'],
    ['dns: { port: 0 }\n', 'embargod.yaml:1:14: dns.port must be at least 1'],
    ['dns: { port: 65536 }\n', 'embargod.yaml:1:14: dns.port must be at most 65535'],
    ['mode: audit\n', 'embargod.yaml:1:7: mode: audit is not supported by this version'],
    ['mode: observe\n', 'embargod.yaml:1:7: mode must be enforce'],
    ['mode:\n', 'embargod.yaml:1:6: mode must be enforce'],
    ['denyWith: deny\n', 'embargod.yaml:1:11: denyWith must be drop or reject'],
    ['docker: { socket: docker.sock }\n', 'embargod.yaml:1:19: "docker.sock" is no absolute path'],
    ['guard: { networks: shop }\n', 'embargod.yaml:1:20: guard.networks must be all or a list'],
    ['guard: { networks: [a, "b c"] }\n', 'embargod.yaml:1:24: "b c" is no Docker network name'],
    ['guard: { ignoreInterfaces: [eth+] }\n', 'embargod.yaml:1:29: "eth+" is no interface name'],
    ['guard: { mark: 0x30000000 }\n', 'embargod.yaml:1:16: guard.mark must be exactly one bit'],
    ['guard: { mark: 0 }\n', 'embargod.yaml:1:16: guard.mark must be exactly one bit'],
    ['guard: { mark: one }\n', 'embargod.yaml:1:16: guard.mark must be a number'],
    ['guard: []\n', 'embargod.yaml:1:8: guard must be a map of keys'],
    ['resolver: { timeout: 3 }\n', 'embargod.yaml:1:22: resolver.timeout must be a duration like 30s'],
    ['resolver: { timeout: 3 seconds }\n', 'embargod.yaml:1:22: "3 seconds" is no duration'],
    ['resolver: { timeout: 2h }\n', 'embargod.yaml:1:22: 2h is out of bounds: from 1s to 1m'],
    ['resolver: { maxStale: 30s }\n', 'embargod.yaml:1:23: 30s is out of bounds: from 1m to 24d'],
    ['resolver: { maxStale: 25d }\n', 'embargod.yaml:1:23: 25d is out of bounds: from 1m to 24d'],
    ['resolver: { sweep: "0 0 31 2 *" }\n', 'embargod.yaml:1:20: "0 0 31 2 *" never fires'],
    ['resolver: { servers: [dns.example] }\n', 'embargod.yaml:1:23: "dns.example" is no name server'],
    [
      'resolver: { maxQueriesPerSecond: 0 }\n',
      'embargod.yaml:1:34: resolver.maxQueriesPerSecond must be at least 1',
    ],
    [
      'resolver: { maxQueriesPerSecond: 1.5 }\n',
      'embargod.yaml:1:34: resolver.maxQueriesPerSecond must be a whole number',
    ],
    ['dns: { servers: ["9.9.9.9:53"] }\n', 'embargod.yaml:1:18: "9.9.9.9:53" is no IPv4 or IPv6 address'],
    [
      'never: [10.1.2.3/8]\n',
      'embargod.yaml:1:9: "10.1.2.3/8" has bits behind its prefix: the network is 10.0.0.0/8',
    ],
    ['never: 10.0.0.0/8\n', 'embargod.yaml:1:8: never must be a list'],
    ['metadata: { block: "no" }\n', 'embargod.yaml:1:20: metadata.block must be true or false'],
    ['smtp:\n', 'embargod.yaml:1:6: smtp must be a map of keys, and has no value'],
    ['smtp: { ports: [] }\n', 'embargod.yaml:1:16: the list is empty'],
    ['smtp: { ports: [0] }\n', 'embargod.yaml:1:17: smtp.ports[0] must be at least 1'],
    ['smtp: { rate: 5/fortnight }\n', 'embargod.yaml:1:15: "5/fortnight" is no rate'],
    ['smtp: { burst: 10001 }\n', 'embargod.yaml:1:16: smtp.burst must be at most 10000'],
    ['smtp: { per: network }\n', 'embargod.yaml:1:14: smtp.per must be container or host'],
    ['log: { level: loud }\n', 'embargod.yaml:1:15: log.level must be trace or debug'],
    ['metrics: { listen: 9464 }\n', 'embargod.yaml:1:20: metrics.listen must be address:port'],
    ['state: ../state\n', 'embargod.yaml:1:8: "../state" is no absolute path'],
  ])('%j', async (yaml, ...expected) => {
    startsWith(await problemsIn(yaml), expected)
    expect((await load(yaml)).config).toBeUndefined()
  })
})

describe('entries', () => {
  it.each<Case>([
    [
      '  - "*.example.com"',
      '2:5: "*.example.com": a wildcard cannot be allowed by resolving names again and again',
    ],
    [
      '  - { domains: [a.example, "**.example.com"] }',
      '2:28: "**.example.com": a wildcard cannot be allowed',
    ],
    ['  - a..b', '2:5: "a..b" is not a host name: it has an empty label'],
    ['  - -x.example', '2:5: "-x.example" is not a host name: the label "-x" starts or ends with a hyphen'],
    ['  - localhost', '2:5: "localhost" is a single label'],
    ['  - 127.1', '2:5: an entry is a text like api.example.com:443, or a map'],
    ['  - "127.1"', '2:5: "127.1" is not a host name: it reads as an address'],
    ['  - https://a.example/x', '2:5: "https://a.example/x" is a URL'],
    ['  - a.example:', '2:5: unknown key "a.example"', '2:5: an entry has exactly one of domain'],
    ['  - "a.example:"', '2:5: "a.example:" ends in a colon'],
    ['  - a.example:0', '2:5: "0": ports go from 1 to 65535'],
    ['  - a.example:65536/udp', '2:5: "65536/udp": ports go from 1 to 65535'],
    ['  - a.example:90-80', '2:5: "90-80" runs backwards: write 80-90/tcp'],
    ['  - a.example:http', '2:5: "http" is no port'],
    ['  - 10.1.2.3/8', '2:5: "10.1.2.3/8" has bits behind its prefix'],
    ['  - 10.0.0.0/33:443', '2:5: "/33" is not a prefix length'],
    ['  - "[2001:db8::1/64]:443"', '2:5: "2001:db8::1/64" has bits behind its prefix'],
    ['  - 5', '2:5: an entry is a text like'],
    ['  -', '2:4: an entry is a text like'],
    ['  - [a.example]', '2:5: an entry is a text like'],
    ['  - {}', '2:5: an entry has exactly one of domain, domains, cidr, cidrs, file, to'],
    ['  - { domain: a.example, cidr: 1.2.3.4 }', '2:5: an entry has exactly one of'],
    ['  - { domain: 1.2.3.4 }', '2:15: "1.2.3.4" is an address, not a host name'],
    ['  - { domains: [] }', '2:16: the list is empty'],
    ['  - { domains: [a.example, b..example] }', '2:28: "b..example" is not a host name'],
    ['  - { cidr: a.example }', '2:13: "a.example" is not an address or a network'],
    ['  - { to: intranet }', '2:11: the one value of "to" is internet'],
    ['  - { to: internet, private: true }', '2:11: "to: internet" never includes private'],
    ['  - { domain: a.example, ports: [443, 0] }', '2:39: "0": ports go from 1 to 65535'],
    ['  - { domain: a.example, ports: [] }', '2:33: the list of ports is empty'],
    ['  - { domain: a.example, port: 443 }', '2:26: unknown key "port": did you mean ports?'],
    ['  - { domain: a.example, until: 2027-02-30 }', '2:33: "2027-02-30" is no date'],
    ['  - { domain: a.example, private: maybe }', '2:35: allow[0].private must be true or false'],
    ['  - { domain: a.example, comment: "a\\nb" }', '2:35: a comment is one line'],
    ['  - 169.254.169.254', '2:5: 169.254.169.254 lies in 169.254.0.0/16 (cloud metadata or link-local)'],
    ['  - 169.254.0.0/16', '2:5: 169.254.0.0/16 lies in 169.254.0.0/16 (cloud metadata or link-local)'],
    ['  - fe80::/64', '2:5: fe80::/64 lies in fe80::/10'],
    ['  - fd00::/8', '2:5: fd00::/8 covers fd00:ec2::254 (cloud metadata or link-local)'],
    ['  - 100.0.0.0/8', '2:5: 100.0.0.0/8 covers 100.100.100.200'],
    ['  - 127.0.0.0/8', '2:5: 127.0.0.0/8 lies in 127.0.0.0/8 (loopback)'],
    ['  - "::1"', '2:5: ::1 lies in ::1 (loopback)'],
  ])('%j', async (yaml, ...expected) => {
    const problems = await problemsIn(`allow:\n${yaml}\n`)
    startsWith(
      problems,
      expected.map((text) => `embargod.yaml:${text}`),
    )
  })

  it.each<Case>([
    ['  - "*"', '2:5: "*" is every name there is: name a domain, or write "to: internet"'],
    ['  - "**:443"', '2:5: "**" is every name there is'],
    ['  - "*.com"', '2:5: "*.com" is a whole top-level domain: name a domain below it, like *.example.com'],
    ['  - { domain: "**.UK." }', '2:15: "**.UK." is a whole top-level domain'],
    ['  - "*.рф"', '2:5: "*.рф" is a whole top-level domain'],
    ['  - "*.internal"', '2:5: "*.internal" is a whole top-level domain'],
    ['  - "*.co.uk:443"', '2:5: "*.co.uk": anyone can register a name under co.uk: name a domain below it'],
    ['  - "**.公司.cn"', '2:5: "**.公司.cn": anyone can register a name under xn--55qx5d.cn'],
    ['  - "**.kawasaki.jp"', '2:5: "**.kawasaki.jp": anyone can register a name under kawasaki.jp'],
    [
      '  - "a.*.com"',
      '2:5: "a.*.com" is no wildcard: there are *.example.com, for one label below the name, and **.',
    ],
    ['  - "*foo.com"', '2:5: "*foo.com" is no wildcard'],
    ['  - "***.example.com"', '2:5: "***.example.com" is no wildcard'],
    ['  - "*.*.example.com"', '2:5: "*.*.example.com" is no wildcard'],
    ['  - "example.com.*"', '2:5: "example.com.*" is no wildcard'],
    ['  - "*."', '2:5: the name is empty'],
    ['  - "*.a..b"', '2:5: "a..b" is not a host name: it has an empty label'],
    ['  - "*.192.0.2.1"', '2:5: "192.0.2.1" is an address, not a host name'],
    ['  - "https://*.example.com"', '2:5: "https://*.example.com" is a URL'],
    ['  - { cidr: "*.example.com" }', '2:13: "*.example.com" is not an address or a network'],
  ])('with a star: %j', async (yaml, ...expected) => {
    for (const gateway of [true, false])
      startsWith(
        await problemsIn(`allow:\n${yaml}\ndns: { gateway: ${gateway} }\n`),
        expected.map((text) => `embargod.yaml:${text}`),
      )
  })

  it('say what makes a wildcard work, in list files too', async () => {
    const lists = { '/etc/embargod/lists/x.txt': 'a.example\n  *.b.example\n' }
    const [problem, ...others] = await problemsIn('allow: [{ file: lists/x.txt }]\n', lists)
    expect(others).toEqual([])
    expect(problem).toMatch(/^lists\/x\.txt:2:3: "\*\.b\.example": .*resolving.*"dns: \{ gateway: true \}"/)
    expect(await problemsIn('allow: [{ file: lists/x.txt }]\ndns: { gateway: true }\n', lists)).toEqual([])
  })

  it('have nothing to say about a wildcard where the gateway is wrong in itself', async () => {
    startsWith(await problemsIn('allow: ["*.example.com"]\ndns: { gateway: 1 }\n'), [
      'embargod.yaml:2:17: dns.gateway must be true or false',
    ])
  })

  it('are held to what metadata.extra adds', async () => {
    const yaml = 'metadata: { extra: [203.0.113.0/24] }\nallow: [203.0.113.7, 198.51.100.7]\n'
    startsWith(await problemsIn(yaml), [
      'embargod.yaml:2:9: 203.0.113.7 lies in 203.0.113.0/24 (cloud metadata',
    ])
  })
})

describe('rules across values', () => {
  it.each<Case>([
    [
      'resolver: { refresh: { min: 10m } }\n',
      'embargod.yaml:1:29: refresh.min (10m) is more than refresh.max (5m)',
    ],
    [
      'resolver: { refresh: { max: 10s } }\n',
      'embargod.yaml:1:29: refresh.min (30s) is more than refresh.max (10s)',
    ],
    [
      'dns: { minTtl: 10m, maxTtl: 5m }\n',
      'embargod.yaml:1:16: dns.minTtl (10m) is more than dns.maxTtl (5m)',
    ],
    [
      'resolver: { maxStale: 15m }\n',
      'embargod.yaml:1:23: maxStale (15m) must be more than refresh.max and retain together (15m)',
    ],
    [
      'resolver: { retain: 1d }\n',
      'embargod.yaml:1:21: maxStale (1d) must be more than refresh.max and retain together (1d5m)',
    ],
    [
      'guard: { networks: [a, b], except: [c, b] }\n',
      'embargod.yaml:1:40: b is in both guard.networks and guard.except',
    ],
  ])('%j', async (yaml, ...expected) => {
    startsWith(await problemsIn(yaml), expected)
  })

  it('have nothing to say about a value that is wrong in itself', async () => {
    startsWith(await problemsIn('resolver: { refresh: { min: soon, max: 2s } }\n'), [
      'embargod.yaml:1:29: "soon" is no duration',
    ])
  })
})

it('all problems come at once, in the order of the file', async () => {
  const yaml = `mode: audit
guard: { mark: 3, hostNetwork: yes }
resolver:
  refresh: { min: 10m, max: 5m }
  sweep: never
allow:
  - a.example
  - "*.b.example"
  - 10.1.2.3/8
  - 169.254.169.254
  - { domains: [c.example, -d.example], ports: [0], until: later, colour: red }
smtp: { burst: 0, destinations: any }
`
  const places = (await problemsIn(yaml)).map((problem) => problem.split(':').slice(1, 3).join(':'))
  expect(places).toEqual([
    '1:7',
    '2:16',
    '2:32',
    '4:19',
    '5:10',
    '8:5',
    '9:5',
    '10:5',
    '11:28',
    '11:49',
    '11:60',
    '11:67',
    '12:16',
    '12:33',
  ])
})
