import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { targetText } from '../../../src/config/target-text.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { fakeEnv, load, MAIN, NOW_MS, problemsIn, type FakeFile } from './files.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const allowed = async (...args: Parameters<typeof load>): Promise<string[] | undefined> =>
  (await load(...args)).config?.allow.map(({ target, ports }) => `${targetText(target)} ${ports.text}`)

describe('an accepted config', () => {
  it('has every default filled in', async () => {
    const { config } = await load('')
    expect(config).toEqual({
      denyWith: 'drop',
      docker: { socket: '/var/run/docker.sock' },
      guard: {
        networks: 'all',
        except: [],
        ignoreInterfaces: [],
        mark: 0x20000000,
        marks: { rights: 0x0ff8, generation: 0xff000000, hostNetwork: 0x10000000 },
        hostServices: { published: true, ports: { text: 'icmp', specs: [{ protocol: 'icmp' }] } },
        hostNetwork: false,
        holdNewMs: 1_000,
        inbound: 'published',
        unknown: 'common',
        labels: 'ignore',
      },
      resolver: {
        servers: [],
        timeoutMs: 3000,
        refresh: { minMs: 30_000, maxMs: 300_000 },
        sweep: '*/15 * * * *',
        maxQueriesPerSecond: 200,
        retainMs: 600_000,
        maxStaleMs: 86_400_000,
        maxAddressesPerName: 1000,
      },
      dns: {
        servers: [],
        ratePerContainer: { count: 200, per: 'second' },
        gateway: false,
        upstreams: [],
        denied: 'nxdomain',
        log: 'denied',
        maxHoldMs: 100,
        minTtlMs: 0,
        maxTtlMs: 3_600_000,
        port: 10_053,
      },
      allow: [],
      policies: [],
      never: [],
      metadata: { block: true, extra: [] },
      smtp: undefined,
      log: { level: 'info', blocked: true },
      metrics: { listen: { host: '127.0.0.1', port: 9464 } },
      verify: { everyMs: 300_000 },
      state: '/var/lib/embargod',
    })
  })

  it('may be empty, which is worth a warning', async () => {
    for (const text of ['', '# nothing yet\n', '{}\n']) {
      expect(await problemsIn(text)).toEqual([
        'embargod.yaml:1:1: warning: the config is empty: every network is guarded and nothing is allowed',
      ])
    }
  })

  it('may have sections and lists with nothing behind them', async () => {
    const { config, problems } = await load(
      'allow:\nnever:\nguard:\n  except:\nresolver:\nlog:\ndenyWith: reject\n',
    )
    expect(problems).toEqual([])
    expect(config?.allow).toEqual([])
  })

  it('limits mail by the defaults when smtp is an empty map', async () => {
    const { config } = await load('smtp: {}\n')
    expect(config?.smtp).toEqual({
      ports: [25, 465, 587],
      rate: { count: 5, per: 'minute' },
      burst: 5,
      per: 'container',
      destinations: 'allowed',
    })
  })

  it.each([
    ['{ rate: 100/hour }', 100],
    ['{ rate: 2/day }', 2],
    ['{ rate: 10000/second }', 10_000],
    ['{ rate: 100/hour, burst: 7 }', 7],
    ['{ rate: 1/hour, burst: 24 }', 24],
  ])('lets mail come at once as the rate says, unless burst does: %s', async (smtp, burst) => {
    const { config, problems } = await load(
      `smtp: ${smtp}\npolicies: { a: { match: { network: x }, smtp: ${smtp} } }\n`,
    )
    expect(problems.filter(({ severity }) => severity !== 'note')).toEqual([])
    expect([config?.smtp?.burst, config?.policies[0]?.smtp?.burst]).toEqual([burst, burst])
  })

  it('holds a budget of mail to what the kernel can count, and says so', async () => {
    const { config } = await load('smtp: { rate: 1/day, burst: 5 }\n')
    expect(config?.smtp?.burst).toBe(1)
    expect(await problemsIn('smtp: { rate: 1/day, burst: 5 }\n')).toContainEqual(
      expect.stringContaining(
        'embargod.yaml:1:29: warning: smtp.burst: 5 is more than the rate (1/day) gives in a day',
      ),
    )
  })

  it('has one entry for each target, with its place', async () => {
    const { config } = await load(
      'allow:\n  - API.example\n  - { domains: [b.example, c.example], until: 2027-01-31, comment: why }\n',
    )
    expect(config?.allow.map(({ where }) => where)).toEqual([`${MAIN}:2:5`, `${MAIN}:3:17`, `${MAIN}:3:28`])
    expect(config?.allow[2]).toMatchObject({
      target: { kind: 'domain', name: 'c.example' },
      private: false,
      untilMs: Date.UTC(2027, 1, 1),
      comment: 'why',
    })
  })

  it.each([
    ['a.example', 'a.example 80/tcp,443/tcp'],
    ['a.example:443', 'a.example 443/tcp'],
    ['a.example:53/udp', 'a.example 53/udp'],
    ['a.example:8000-8100/tcp', 'a.example 8000-8100/tcp'],
    ['a.example:icmp', 'a.example icmp'],
    ['bücher.example:443', 'xn--bcher-kva.example 443/tcp'],
    ['198.51.100.7', '198.51.100.7 80/tcp,443/tcp'],
    ['198.51.100.7:25', '198.51.100.7 25/tcp'],
    ['198.51.100.0/24:443/tcp', '198.51.100.0/24 443/tcp'],
    ['2001:db8::/32', '2001:db8::/32 80/tcp,443/tcp'],
    ['"[2001:db8::1]:443"', '2001:db8::1 443/tcp'],
    ['"[2001:db8::]/32:443"', '2001:db8::/32 443/tcp'],
    ['10.0.0.0/8', '10.0.0.0/8 80/tcp,443/tcp'],
    ['{ to: internet, ports: [443] }', 'internet 443/tcp'],
    ['{ domain: a.example, ports: [443, 80/tcp, icmp] }', 'a.example 80/tcp,443/tcp,icmp'],
    ['{ cidr: 1.2.3.4, ports: 53/udp }', '1.2.3.4 53/udp'],
    ['{ cidrs: [1.2.3.4/32], ports: any }', '1.2.3.4 1-65535/tcp,1-65535/udp'],
  ])('allows %s', async (entry, expected) => {
    expect(await allowed(`allow:\n  - ${entry}\n`)).toEqual([expected])
  })

  it.each([
    ['"*.example.com"', '*.example.com 80/tcp,443/tcp'],
    ['"**.Example.COM.:443"', '**.example.com 443/tcp'],
    ['"*.bücher.example:8000-8100/tcp"', '*.xn--bcher-kva.example 8000-8100/tcp'],
    ['{ domain: "**.corp.example", ports: [5432], private: true }', '**.corp.example 5432/tcp'],
    ['{ domains: ["*.city.kawasaki.jp"], ports: [443] }', '*.city.kawasaki.jp 443/tcp'],
    ['{ domain: "*._tcp.example.com", ports: [443] }', '*._tcp.example.com 443/tcp'],
  ])('allows %s where there is a gateway', async (entry, expected) => {
    const { problems } = await load(`allow:\n  - ${entry}\ndns: { gateway: true }\n`)
    expect(problems).toEqual([])
    expect(await allowed(`allow:\n  - ${entry}\ndns: { gateway: true }\n`)).toEqual([expected])
  })

  it('has the gateway as it is written', async () => {
    const { config, problems } = await load(
      `dns:
  gateway: true
  upstreams: [9.9.9.9, "9.9.9.10:5353", "[2620:FE::fe]:53", "tls://9.9.9.9#dns.quad9.net", "tls://[2620:fe::fe]:8853#DNS.quad9.net."]
  denied: zero
  log: none
  maxHold: 1s500ms
  minTtl: 1h
  maxTtl: 1h
  port: 53
`,
    )
    expect(problems).toEqual([])
    expect(config?.dns).toMatchObject({
      gateway: true,
      upstreams: [
        { kind: 'plain', host: '9.9.9.9', port: 53 },
        { kind: 'plain', host: '9.9.9.10', port: 5353 },
        { kind: 'plain', host: '2620:fe::fe', port: 53 },
        { kind: 'tls', host: '9.9.9.9', port: 853, name: 'dns.quad9.net' },
        { kind: 'tls', host: '2620:fe::fe', port: 8853, name: 'dns.quad9.net' },
      ],
      denied: 'zero',
      log: 'none',
      maxHoldMs: 1500,
      minTtlMs: 3_600_000,
      maxTtlMs: 3_600_000,
      port: 53,
    })
  })
})

describe('warnings', () => {
  it.each([
    ['allow: ["a.example:any"]\n', '1:9: warning: ports: any opens every TCP and UDP port of a.example'],
    [
      'allow: [{ to: internet, ports: any }]\n',
      '1:15: warning: ports: any opens every TCP and UDP port of the internet',
    ],
    ['smtp: { destinations: any }\n', '1:23: warning: smtp.destinations: any lets mail go to anyone'],
    [
      'metadata: { block: false }\n',
      '1:20: warning: metadata.block: false leaves cloud metadata to the allow rules',
    ],
    ['allow: [{ domain: a.example, until: 2026-06-14 }]\n', '1:19: warning: until is past'],
    [
      'allow: [a.example, a.example]\n',
      `1:20: warning: a.example with ports 80/tcp,443/tcp is already listed at ${MAIN}:1:9`,
    ],
    ['allow: [0.0.0.0/0]\n', '1:9: warning: 0.0.0.0/0 allows every address but metadata and link-local ones'],
    ['allow: ["::/0"]\n', '1:9: warning: ::/0 allows every address'],
    ['never: [10.0.0.0/8]\nallow: [10.1.0.0/16]\n', '2:9: warning: 10.1.0.0/16 lies in never (10.0.0.0/8)'],
    [
      'allow: [files.github.io]\n',
      '1:9: warning: files.github.io: addresses under github.io serve many tenants',
    ],
    ['guard: { networks: [] }\n', '1:20: warning: guard.networks is an empty list'],
  ])('%j', async (yaml, expected) => {
    const { config, problems } = await load(yaml)
    expect(config).toBeDefined()
    expect(problems).toHaveLength(1)
    expect((await problemsIn(yaml))[0]?.replace('/etc/embargod/', '')).toContain(
      expected.replace('/etc/embargod/', ''),
    )
  })

  it.each([
    [
      '*.workers.dev',
      '*.workers.dev: anyone can rent a place under workers.dev, and whoever does can be reached too',
    ],
    ['**.s3.amazonaws.com', '**.s3.amazonaws.com: anyone can rent a place under s3.amazonaws.com'],
    ['*.amazonaws.com', '*.amazonaws.com: anyone can rent a place under amazonaws.com'],
    ['**.windows.net', '**.windows.net: anyone can rent a place under blob.core.windows.net'],
    [
      '*.cloudflarestorage.com',
      '*.cloudflarestorage.com: anyone can rent a place under r2.cloudflarestorage.com',
    ],
    ['*.files.github.io', '*.files.github.io: addresses under github.io serve many tenants'],
    ['**.example.com:any', 'ports: any opens every TCP and UDP port of **.example.com'],
  ])('about %s', async (entry, expected) => {
    const { config, problems } = await load(`allow: ["${entry}"]\ndns: { gateway: true }\n`)
    expect(config).toBeDefined()
    expect(problems.map(({ severity, message }) => [severity, message.slice(0, expected.length)])).toEqual([
      ['warning', expected],
    ])
  })

  it('about a wildcard that stands twice, however it is spelt', async () => {
    expect(
      await problemsIn(
        'allow: ["*.example.com", "*.EXAMPLE.com.", "**.example.com"]\ndns: { gateway: true }\n',
      ),
    ).toEqual([
      `embargod.yaml:1:26: warning: *.example.com with ports 80/tcp,443/tcp is already listed at ${MAIN}:1:9`,
    ])
  })

  it('stay away from what is in order', async () => {
    const until = new Date(NOW_MS).toISOString().slice(0, 10)
    const yaml = `allow: [a.example, "a.example:53/udp", { domain: b.example, until: ${until} }, 10.0.0.0/8]\nnever: [10.1.0.0/16]\n`
    expect(await problemsIn(yaml)).toEqual([])
  })
})

describe('conf.d', () => {
  it('adds to lists and maps in the order of the names', async () => {
    const { config, problems } = await load('allow: [a.example]\nlog: { level: warn }\n', {
      '/etc/embargod/conf.d/20.yaml': 'allow: [c.example]\nlog: { blocked: false }\ndenyWith: reject\n',
      '/etc/embargod/conf.d/10.yaml': 'allow: [b.example]\nlog: { level: warn }\n',
      '/etc/embargod/conf.d/.hidden.yaml': 'nonsense: 1\n',
    })
    expect(problems).toEqual([])
    expect(config?.allow.map(({ where }) => where)).toEqual([
      `${MAIN}:1:9`,
      '/etc/embargod/conf.d/10.yaml:1:9',
      '/etc/embargod/conf.d/20.yaml:1:9',
    ])
    expect(config?.log).toEqual({ level: 'warn', blocked: false })
    expect(config?.denyWith).toBe('reject')
  })

  it('contradicts nothing that is set elsewhere', async () => {
    const problems = await problemsIn('denyWith: drop\nlog: { level: info }\nguard: { networks: all }\n', {
      '/etc/embargod/conf.d/x.yaml': 'denyWith: reject\nlog:\n  level: debug\nguard: { networks: [a] }\n',
    })
    expect(problems.map((problem) => problem.replaceAll('/etc/embargod/', ''))).toEqual([
      'conf.d/x.yaml:1:11: denyWith contradicts embargod.yaml:1:11: it has another value there',
      'conf.d/x.yaml:3:10: log.level contradicts embargod.yaml:2:15: it has another value there',
      'conf.d/x.yaml:4:20: guard.networks contradicts embargod.yaml:3:20: it has another value there',
    ])
  })

  it('has its own places in problems, and is trusted as little as the main file', async () => {
    const problems = await problemsIn('allow: [a.example]\n', {
      '/etc/embargod/conf.d/a.yaml': 'allow:\n  - ok.example\n  - a..b\n',
      '/etc/embargod/conf.d/b.yaml': { bytes: bytes('allow: [b.example]\n'), mode: 0o666 },
      '/etc/embargod/conf.d/never.yml': 'never: [10.0.0.0/8]\n',
    })
    expect(problems.toSorted()).toEqual([
      'conf.d/a.yaml:3:5: "a..b" is not a host name: it has an empty label (two dots in a row, or one at its start)',
      'conf.d/b.yaml:1:1: the file can be written by others than root (mode 0666): chmod go-w it',
      'conf.d/never.yml:1:1: warning: the file is ignored: in conf.d only *.yaml files are read',
    ])
  })
})

describe('files that are not taken', () => {
  const cases: [string, FakeFile, string][] = [
    ['missing', { failure: 'ENOENT' }, 'does not exist'],
    ['a directory', { kind: 'directory' }, 'is a directory, not a file'],
    ['a pipe', { kind: 'other' }, 'is not a regular file'],
    ['unreadable', { failure: 'EACCES' }, 'cannot be read: permission denied'],
    ['not UTF-8', { bytes: Uint8Array.of(0x61, 0xff, 0xfe) }, 'is not UTF-8 text'],
    [
      'group-writable',
      { bytes: bytes(''), mode: 0o664 },
      'can be written by others than root (mode 0664): chmod go-w it',
    ],
    [
      'world-writable',
      { bytes: bytes(''), mode: 0o602 },
      'can be written by others than root (mode 0602): chmod go-w it',
    ],
    ["somebody's", { bytes: bytes(''), uid: 1000 }, 'belongs to user 1000, not to root: chown root it'],
  ]

  it.each(cases)('%s', async (_, file, reason) => {
    const main = await load('', { [MAIN]: file })
    expect(main.config).toBeUndefined()
    expect(main.problems).toMatchObject([{ file: MAIN, line: 1, column: 1, message: `the file ${reason}` }])
    const list = await problemsIn('allow:\n  - { file: lists/x.txt }\n', {
      '/etc/embargod/lists/x.txt': file,
    })
    expect(list).toEqual([`embargod.yaml:2:13: the list file /etc/embargod/lists/x.txt ${reason}`])
  })

  it('a config of more than 1 MiB, whatever its size was said to be', async () => {
    const big = new Uint8Array(1024 * 1024 + 1).fill(0x23)
    const reason = `${MAIN.slice('/etc/embargod/'.length)}:1:1: the file is too large: 1048577 bytes, of at most 1 MiB`
    expect(await problemsIn('', { [MAIN]: { bytes: big } })).toEqual([reason])
    expect(await problemsIn('', { [MAIN]: { bytes: big, size: 10 } })).toEqual([
      'embargod.yaml:1:1: the file is too large: more than 1 MiB',
    ])
    expect(await problemsIn('', { [MAIN]: { bytes: big.subarray(1), size: 1024 * 1024 } })).toHaveLength(1)
  })

  it('one behind a directory that others decide on, which is said once for all files in it', async () => {
    const fault = 'lies in /etc/embargod, which can be written by others than root (mode 0775): chmod go-w it'
    const files = {
      [MAIN]: 'allow: [{ file: lists/x.txt }]\n',
      '/etc/embargod/conf.d/a.yaml': 'never: [10.0.0.0/8]\n',
      '/etc/embargod/lists/x.txt': 'a.example\n',
    }
    const ofAll = await loadConfig(
      MAIN,
      fakeEnv(files, () => [fault]),
    )
    expect(ofAll.config).toBeUndefined()
    expect(ofAll.problems).toHaveLength(1)
    expect(ofAll.problems[0]?.message).toContain(fault)
    const ofTheList = await loadConfig(
      MAIN,
      fakeEnv(files, (path) => (path.endsWith('.txt') ? [fault] : [])),
    )
    expect(ofTheList.config).toBeUndefined()
    expect(ofTheList.problems[0]?.message).toBe(`the list file /etc/embargod/lists/x.txt ${fault}`)
    // Nothing lies in it yet.
    const ofTheFolder = await loadConfig(
      MAIN,
      fakeEnv({ ...files, [MAIN]: '' }, (path) => (path.includes('conf.d/') ? [fault] : [])),
    )
    expect(ofTheFolder.problems[0]).toMatchObject({
      file: '/etc/embargod/conf.d',
      message: `a file in it ${fault}`,
    })
  })

  it('both faults of one file are named', async () => {
    const { problems } = await load('', { [MAIN]: { bytes: bytes(''), uid: 7, mode: 0o777 } })
    expect(problems).toHaveLength(2)
  })
})

describe('list files', () => {
  const list = (text: string): Record<string, string> => ({ '/etc/embargod/lists/x.txt': text })

  it('hold a name, address or network a line', async () => {
    const files = list('# partners\na.example  # first\r\n\n  198.51.100.0/24\n2001:db8::1\nb.example')
    expect(await allowed('allow:\n  - { file: lists/x.txt, ports: [443] }\n', files)).toEqual([
      'a.example 443/tcp',
      '198.51.100.0/24 443/tcp',
      '2001:db8::1 443/tcp',
      'b.example 443/tcp',
    ])
    const { sources } = await load('allow:\n  - { file: lists/x.txt }\n', files)
    expect(sources.map(({ file }) => file)).toEqual([MAIN, '/etc/embargod/lists/x.txt'])
  })

  it('have their own places in problems', async () => {
    const text =
      'a.example\n  *.b.example\nc.example:443\n\n127.1\n10.1.2.3/8 # x\n169.254.169.254\nd.example e.example\n'
    const problems = await problemsIn('allow:\n  - { file: lists/x.txt }\n', list(text))
    expect(problems.map((problem) => problem.slice(0, 'lists/x.txt:2:3: '.length + 12))).toEqual([
      'lists/x.txt:2:3: "*.b.example',
      'lists/x.txt:3:1: "c.example:4',
      'lists/x.txt:5:1: "127.1" is n',
      'lists/x.txt:6:1: "10.1.2.3/8"',
      'lists/x.txt:7:1: 169.254.169.',
      'lists/x.txt:8:1: "d.example e',
    ])
  })

  it('are worth a warning when they are empty, and are not read to the end when they are no lists at all', async () => {
    expect(await problemsIn('allow: [{ file: lists/x.txt }]\n', list('# later\n'))).toEqual([
      'embargod.yaml:1:17: warning: lists/x.txt names nothing: this entry allows nothing',
    ])
    const problems = await problemsIn('allow: [{ file: lists/x.txt }]\n', list('<html>\n'.repeat(5000)))
    expect(problems.length).toBeLessThanOrEqual(101)
  })

  it('of ten thousand names are read whole', async () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `host-${i}.example`)
    const inFile = await load('allow:\n  - { file: lists/x.txt }\n', list(names.join('\n')))
    const inline = await load(`allow:\n${names.map((name) => `  - ${name}\n`).join('')}`)
    expect(inFile.config?.allow).toHaveLength(10_000)
    expect(inline.config?.allow).toHaveLength(10_000)
  })
})

it('the example in deploy/ is accepted without a word', async () => {
  const text = await readFile(new URL('../../../deploy/embargod.example.yaml', import.meta.url), 'utf8')
  const { config, problems } = await load(text)
  expect(problems).toEqual([])
  expect(config?.allow.length).toBeGreaterThan(0)
})
