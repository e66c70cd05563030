import { rm } from 'node:fs/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Family } from '../../src/net/types.ts'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { origin, reached } from './reach.ts'
import { insertRules, rulesOf } from './rules.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** An operator's own rules stay what they were, and go on doing their work. */
const lab = useLab({ name: 'beside' })

const FAMILIES: readonly Family[] = [4, 6]
let from: LabContainer
let daemon: Daemon | undefined

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  from = await lab().container({ network: 'shop' })
})

/** Back to a host that nobody has touched. */
afterEach(async () => {
  await daemon?.term()
  daemon = undefined
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  await rm(lab().embargod.stateDirectory, { recursive: true, force: true })
  await lab().host(['iptables', '-F', 'DOCKER-USER'])
  await lab().host(['conntrack', '-F'])
})

const isOurs = (line: string): boolean => /embargod/i.test(line)

/** The operator's part of the whole firewall, line by line as the kernel has it. */
async function foreignRules(): Promise<readonly string[]> {
  const parts = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map(async (tool) => (await lab().host([tool])).stdout),
  )
  return parts.flatMap((text) => text.split('\n')).filter((line) => line.startsWith('-A ') && !isOurs(line))
}

describe('rules in DOCKER-USER', () => {
  const OWN = [
    '-s 10.9.9.9/32 -m comment --comment "the first one" -j DROP',
    '-d 203.0.113.77/32 -p tcp -m tcp --dport 80 -j LOG --log-prefix "odd \\"quoted\\" text"',
    '-m set ! --match-set office src -j RETURN',
    '-d 203.0.113.10/32 -p tcp -m tcp --dport 443 -j DROP',
  ]

  test('before, between and behind our jump stay through start, reload and cleanup', async () => {
    await lab().host(['ipset', 'create', 'office', 'hash:net'])
    await lab().host(['ipset', 'add', 'office', '172.16.0.0/12'])
    // Engines before 28 end it with a RETURN.
    const ofEngine = await rulesOf(lab(), 4, 'DOCKER-USER')
    await insertRules(lab(), 4, 'DOCKER-USER', OWN)
    // Where the engine has its chain for IPv6 too, what stands at the end of FORWARD comes too late.
    const { stdout } = await lab().host(['ip6tables-save', '-t', 'filter'])
    const chain6 = stdout.includes(':DOCKER-USER ') ? 'DOCKER-USER' : 'FORWARD'
    const own6 = [chain6, '-d', '2001:db8:f::10', '-p', 'tcp', '--dport', '443', '-j', 'DROP']
    await lab().host(['ip6tables', '-A', ...own6])
    const before = await foreignRules()
    expect(await rulesOf(lab(), 4, 'DOCKER-USER')).toHaveLength(OWN.length + ofEngine.length)

    const works = async (what: string) => {
      expect(await foreignRules(), what).toEqual(before)
      // The operator's refusal of one port stands beside our allow of both.
      const tried = ['203.0.113.10', '2001:db8:f::10'].flatMap((ip) => [origin(ip, 443), origin(ip, 80)])
      expect(await reached(from, tried, { seconds: 2 }), what).toEqual([
        origin('203.0.113.10'),
        origin('2001:db8:f::10'),
      ])
      expect(await reached(from, [origin('203.0.113.66')], { seconds: 2 }), what).toEqual([])
    }

    daemon = await lab().daemon({ config: 'allow: [allowed.example]' })
    await lab().waitFor(
      'the name is allowed',
      async () => (await reached(from, [origin('203.0.113.10')])).length === 1,
    )
    const [first, ...rest] = await rulesOf(lab(), 4, 'DOCKER-USER')
    expect(first).toMatch(/-j EMBARGOD$/)
    expect(rest.filter(isOurs)).toEqual([])
    await works('after the start')

    // Now ours stands between: the daemon has to put its jump first, and only that.
    await insertRules(lab(), 4, 'DOCKER-USER', ['-s 10.8.8.8/32 -j DROP'])
    const more = await foreignRules()
    await lab().waitFor('the jump is first again', async () =>
      ((await rulesOf(lab(), 4, 'DOCKER-USER'))[0] ?? '').endsWith('-j EMBARGOD'),
    )
    expect(await foreignRules()).toEqual(more)
    await lab().host(['iptables', '-D', 'DOCKER-USER', '-s', '10.8.8.8/32', '-j', 'DROP'])
    await works('after a rule was put on top')

    await lab().embargod.writeConfig('allow: [allowed.example, api.example]')
    expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
    await works('after a reload')
    await daemon.kill()
    daemon = await lab().daemon({ config: 'allow: [allowed.example]' })
    await works('after a crash')
    await daemon.term()
    daemon = undefined
    expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
    expect(await foreignRules()).toEqual(before)
    expect((await lab().host(['ipset', 'list', '-n'])).stdout.split('\n').filter(Boolean)).toEqual(['office'])
    expect(await reached(from, [origin('203.0.113.66')])).toHaveLength(1)
    for (const family of FAMILIES) expect((await rulesOf(lab(), family, 'EMBARGOD')).length).toBe(0)
    await lab().host(['ip6tables', '-D', ...own6])
  })

  const SMTP_FORMS = {
    limit: [
      '-p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -m limit --limit 5/min --limit-burst 5 -j RETURN',
      '-p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -j DROP',
    ],
    'limit with ACCEPT': [
      '-p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -m limit --limit 5/min --limit-burst 5 -j ACCEPT',
      '-p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -j DROP',
    ],
    hashlimit: [
      '-p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -m hashlimit --hashlimit-above 5/min --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name mail -j DROP',
    ],
  } as const

  test.each(Object.entries(SMTP_FORMS))('the hand-made mail limit goes on to work: %s', async (_, rules) => {
    await insertRules(lab(), 4, 'DOCKER-USER', rules)
    const before = await foreignRules()
    daemon = await lab().daemon({ config: 'allow: [{ cidr: 203.0.113.25/32, ports: [25/tcp] }]' })
    await lab().inet.forget()
    const each = 'echo QUIT | nc -w 1 203.0.113.25 25'
    const elsewhere = 'echo QUIT | nc -w 1 203.0.113.26 25'
    const twelve = (what: string) =>
      from.exec(['sh', '-c', `i=0; while [ $i -lt 12 ]; do (${what}) & i=$((i+1)); sleep 0.2; done; wait`])
    await twelve(elsewhere)
    await twelve(each)
    const visits = (await lab().inet.visits(25)).map(({ to }) => to)
    expect(visits).toEqual(Array.from({ length: 5 }, () => '203.0.113.25'))
    expect(await foreignRules()).toEqual(before)
  })
})

describe('ufw', () => {
  const ufw = (...args: string[]) =>
    lab().host(['ufw', ...args] as ['ufw', ...string[]], { timeoutMs: 60_000 })

  test('with `default deny outgoing` our look-ups are refused, which is said, with the way out', async () => {
    await ufw('default', 'deny', 'outgoing')
    await ufw('default', 'allow', 'incoming')
    await ufw('--force', 'enable')
    const before = await foreignRules()
    try {
      daemon = await lab().daemon({ config: 'allow: [allowed.example]', wait: false })
      await lab().waitFor(
        'the host is closed, and status names its own firewall',
        async () => {
          const { code, stdout } = await lab().cli(['status'])
          return (
            code === 4 &&
            /own firewall forbids.*ufw allow out/.test(stdout) &&
            /failing/.test(stdout) &&
            /^rules +yes/m.test(stdout)
          )
        },
        45_000,
      )
      expect(await reached(from, [origin('203.0.113.10'), origin('203.0.113.66')])).toEqual([])
      expect(await foreignRules()).toEqual(before)

      await ufw('allow', 'out', '53')
      await lab().waitFor('it heals', async () => (await lab().cli(['status'])).code === 0, 60_000)
      await lab().waitFor(
        'the name is allowed',
        async () => (await fetchPage(from, 'http://allowed.example/', { family: 4 })).code === 0,
        30_000,
      )
      expect(await reached(from, [origin('203.0.113.66')], { seconds: 2 })).toEqual([])
    } finally {
      await ufw('--force', 'disable')
    }
  })
})

test('one proxy a domain: held to its domain, and its client to the proxy', async () => {
  await lab().network('vault', { internal: true })
  const proxy = await lab().container({ network: 'shop', caps: ['NET_ADMIN'] })
  await proxy.connectTo('vault')
  const client = await lab().container({ network: 'vault' })
  const inside = (await proxy.addresses()).ipv4
  const [vaultAddress = ''] = inside.filter((address) => address !== '').slice(-1)
  daemon = await lab().daemon({ config: 'allow: [api.example:443]' })
  await lab().waitFor(
    'the name is allowed',
    async () => (await reached(proxy, [origin('203.0.113.11', 443)])).length === 1,
  )

  // The proxy passes on what comes: to its domain, and, as a broken one would, to another.
  const pass = (listen: number, to: string) =>
    proxy.exec([
      'sh',
      '-c',
      'perl -e "$0" "$1" "$2" </dev/null >/dev/null 2>&1 &',
      STREAM_PROXY,
      String(listen),
      to,
    ])
  await pass(8443, '203.0.113.11')
  await pass(9443, '203.0.113.66')
  await lab().farEnd.reset()
  expect(await reached(client, [origin(vaultAddress, 8443), origin(vaultAddress, 9443)])).toEqual([
    origin(vaultAddress, 8443),
  ])
  expect(await reached(client, [origin('203.0.113.11', 443), origin('203.0.113.66', 443)])).toEqual([])
  expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
  expect(await lab().farEnd.count('203.0.113.11', { proto: 'tcp', port: 443 })).toBeGreaterThan(0)
})

/** Joins whoever connects to port 443 of one address, and asks nothing. */
const STREAM_PROXY = `
use Socket;
my ($port, $to) = @ARGV;
socket my $server, PF_INET, SOCK_STREAM, 6 or die;
setsockopt $server, SOL_SOCKET, SO_REUSEADDR, 1;
bind $server, sockaddr_in($port, INADDR_ANY) or die;
listen $server, 16;
$SIG{CHLD} = 'IGNORE';
while (accept my $client, $server) {
  next if fork;
  open STDIN, '<&', $client;
  open STDOUT, '>&', $client;
  exec 'nc', $to, 443;
}
`
