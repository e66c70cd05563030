import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { LabContainer } from './container.ts'
import { inside, guard } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { bundle } from './systemd-host.ts'
import { HOST, INET } from './topology.ts'
import { fetchPage, LiveConnection } from './web.ts'
import { heldBy } from './witness.ts'

/** The gateway in the path: a name works at its first packet, what is not allowed is not answered, and nobody asks past it. */

const lab = useLab({ name: 'gateway' })

const CONFIG = `
dns: { gateway: true }
denyWith: reject
allow: [allowed.example, '*.one.example', '**.any.example']
policies:
  web:
    match: { network: web }
    allow: [only.example]
`

const dig = async (from: LabContainer, ...args: string[]) =>
  from.exec(['dig', '+tries=1', '+time=2', '+short', ...args])
/** The code of the answer; BLOCKED where it says that the gateway's policy denies the name. */
const status = async (from: LabContainer, ...args: string[]): Promise<string> => {
  const { stdout } = await from.exec(['dig', '+tries=1', '+time=2', ...args])
  const code = /status: (\w+)/.exec(stdout)?.[1]
  return code === 'NXDOMAIN' && stdout.includes('EDE: 15 (Blocked)') ? 'BLOCKED' : (code ?? stdout)
}
const asked = async (): Promise<readonly string[]> =>
  (await lab().inet.queries()).map(({ name }) => name.toLowerCase())

describe('a guarded host', () => {
  test('answers what is allowed, and opens it before the answer leaves', async () => {
    await lab().network('shop', { ipv6: true })
    await lab().network('web', { ipv6: true })
    await lab().inet.dns({
      'a.one.example': { a: ['203.0.113.31'], aaaa: ['2001:db8:f::31'], ttl: 5 },
      'b.one.example': { cname: 'elsewhere.test', ttl: 5 },
      'elsewhere.test': { a: ['203.0.113.32'], ttl: 5 },
      'one.example': { a: ['203.0.113.33'] },
      'x.a.one.example': { a: ['203.0.113.34'] },
      'x.y.any.example': { a: ['203.0.113.35'] },
      'evilany.example': { a: ['203.0.113.36'] },
      'only.example': { a: ['203.0.113.37'] },
      'inner.any.example': { a: ['10.9.9.9', INET.metadata] },
    })
    await guard(lab(), { config: CONFIG })
    const [shop, plain] = [await inside(lab(), { network: 'shop' }), await inside(lab())]
    for (const from of [shop, plain]) {
      for (const [name, address] of [
        ['allowed.example', '203.0.113.10'],
        ['A.one.EXAMPLE.', '203.0.113.31'],
        ['x.y.any.example', '203.0.113.35'],
      ] as const)
        for (const how of [[], ['+tcp'], [`@${INET.otherDns}`]])
          expect((await dig(from, name, ...how)).stdout.trim(), `${name} ${how.join()}`).toBe(address)
      for (const name of ['a.one.example', 'b.one.example', 'x.y.any.example'])
        expect((await fetchPage(from, `http://${name}/`, { family: 4 })).code, name).toBe(0)
    }
    expect((await fetchPage(shop, 'http://a.one.example/', { family: 6 })).code).toBe(0)
    expect((await dig(shop, `@${INET.otherDns6}`, 'a.one.example', 'AAAA')).stdout.trim()).toBe(
      '2001:db8:f::31',
    )
    expect(await heldBy(lab(), '*.one.example')).toEqual(
      expect.arrayContaining(['203.0.113.31', '2001:db8:f::31', '203.0.113.32']),
    )

    // What nobody allowed is not even asked for.
    await lab().inet.forget()
    for (const name of [
      'forbidden.example',
      'one.example',
      'x.a.one.example',
      'any.example',
      'evilany.example',
    ])
      for (const how of [[], ['+tcp'], [`@${INET.otherDns}`]])
        expect(await status(shop, name, ...how), name).toBe('BLOCKED')
    for (const type of ['TXT', 'NULL', 'ANY', 'HTTPS'])
      expect(await status(shop, 'secret.forbidden.example', type), type).toBe('BLOCKED')
    expect((await asked()).filter((name) => name.endsWith('forbidden.example'))).toEqual([])

    // Of what is allowed only the types that programs use are asked for.
    for (const type of ['NULL', 'TYPE65280', 'DNSKEY', 'TXT'])
      for (const how of [[], ['+tcp'], ['+dnssec'], ['+ednsopt=65001:736563726574']])
        expect(await status(shop, 'allowed.example', type, ...how), type).toBe('NOERROR')
    const types = (await lab().inet.queries()).flatMap(({ name, type }) =>
      name.toLowerCase() === 'allowed.example' ? [type] : [],
    )
    expect(types).toContain('TXT')
    expect(types.filter((type) => !['A', 'AAAA', 'TXT'].includes(type))).toEqual([])

    // Private and metadata addresses are no answers.
    expect((await dig(shop, 'inner.any.example')).stdout).toBe('')

    // Who has other rights is answered by those.
    expect(await status(shop, 'only.example')).toBe('BLOCKED')
    const web = await inside(lab(), { network: 'web', name: 'web-1' })
    expect((await dig(web, 'only.example')).stdout.trim()).toBe('203.0.113.37')
    expect((await fetchPage(web, 'http://only.example/', { family: 4 })).code).toBe(0)
    expect((await fetchPage(shop, 'http://203.0.113.37/')).code).not.toBe(0)
    expect(await status(web, 'forbidden.example')).toBe('BLOCKED')

    const metrics = await scrape(lab())
    expect(
      metrics.value('dns_queries_total', { policy: 'common+web', outcome: 'denied', type: 'A' }),
    ).toBeGreaterThan(0)
    expect(metrics.value('unprotected', { reason: 'dns-tunnel' })).toBe(0)
    expect((await lab().cli(['plan', '--config', lab().embargod.configFile])).stdout).toContain(
      'nothing to do',
    )
  })
})

/** A name whose every answer is another address, and lives for a second. */
const SIXTEEN = Array.from({ length: 16 }, (_, index) => `203.0.113.${100 + index}`)

test('what rotates faster than anybody polls is reached each time', async () => {
  await lab().inet.dns({
    'turns.any.example': { turns: SIXTEEN.map((address) => ({ a: [address], ttl: 1 })) },
    'turns.example': { turns: SIXTEEN.map((address) => ({ a: [address], ttl: 1 })) },
  })
  const config = (gateway: boolean): string =>
    `dns: { gateway: ${gateway} }\nresolver: { refresh: { min: 30s } }\nallow: [turns.example]`
  const from = await inside(lab())
  const failed = async (): Promise<number> => {
    // Each in a process of its own, so that nothing is remembered but by the gateway, for a second at most.
    const { stdout } = await from.exec(
      [
        'sh',
        '-c',
        'for i in $(seq 40); do curl -4 -s -o /dev/null --max-time 1 http://turns.example/ || echo failed; sleep 0.1; done',
      ],
      { timeoutMs: 60_000 },
    )
    return stdout.split('failed').length - 1
  }
  const daemon = await guard(lab(), { config: config(false) })
  expect(await failed(), 'polling alone').toBeGreaterThan(0)
  await daemon.hup(config(true))
  await lab().waitFor(
    'the gateway answers',
    async () => (await status(from, 'forbidden.example')) === 'BLOCKED',
  )
  expect(await failed(), 'the gateway').toBe(0)
})

test('an address ages out for new connections and goes on for live ones; a revoked name loses them', async () => {
  await lab().inet.dns({ 'brief.any.example': { a: ['203.0.113.41'], ttl: 1 } })
  const config = `dns: { gateway: true }\nresolver: { retain: 1s }\nallow: ['**.any.example', allowed.example]`
  const daemon = await guard(lab(), { config })
  const from = await inside(lab())
  const live = await LiveConnection.open(from, 'http://brief.any.example')
  await lab().waitFor('the address is gone', async () => (await heldBy(lab(), '**.any.example')).length === 0)
  expect((await fetchPage(from, 'http://203.0.113.41/', { timeoutMs: 1000 })).code).not.toBe(0)
  expect(await live.flows()).toBe(true)
  await daemon.hup(config.replace("'**.any.example', ", ''))
  await lab().waitFor(
    'the right is gone',
    async () => (await status(from, 'brief.any.example')) === 'BLOCKED',
  )
  await lab().waitFor('the connection is cut', async () => !(await live.flows()))
})

/** `perl -e RUSH ADDRESS COUNT NAME`: so many questions at once by one socket. Says how many were answered, and with which codes and lengths, each once. */
const RUSH = `
use strict; use warnings; use Socket qw(:all);
my ($to, $count, $name) = @ARGV;
my $isV6 = $to =~ /:/;
my $family = $isV6 ? AF_INET6 : AF_INET;
my $server = $isV6 ? pack_sockaddr_in6(53, inet_pton($family, $to)) : pack_sockaddr_in(53, inet_pton($family, $to));
socket my $socket, $family, SOCK_DGRAM, 0 or die $!;
my $asked = join('', map { pack 'C/a*', $_ } split /\\./, $name) . "\\0\\0\\1\\0\\1";
send $socket, pack('n6', $_, 0x100, 1, 0, 0, 0) . $asked, 0, $server for 1 .. $count;
my (%answers, %kinds);
my $end = time + 5;
while (keys %answers < $count && time < $end) {
  my $ready = '';
  vec($ready, fileno $socket, 1) = 1;
  next unless select $ready, undef, undef, 1;
  recv $socket, my $answer, 4096, 0;
  my ($id, $flags) = unpack 'n2', $answer;
  $kinds{($flags & 15) . ' ' . length $answer} = 1;
  $answers{$id}++;
}
print scalar(keys %answers), ': ', join(', ', keys %kinds), ' ', (grep { $_ > 1 } values %answers) ? 'twice' : '';
`
const SEEN =
  'table inet seen { chain leaving { type filter hook postrouting priority 300; udp sport 53 counter; }; }'

test('questions that one socket asks at once are each answered, in few packets of the kernel', async () => {
  await lab().network('rush', { ipv6: true })
  await lab().inet.dns({ 'x.any.example': { a: ['203.0.113.42'] } })
  const daemon = await guard(lab(), { config: `dns: { gateway: true }\nallow: ['**.any.example']` })
  const from = await inside(lab(), { network: 'rush', name: 'rush-1' })
  const netns = `--net=/proc/${await from.pid()}/ns/net`
  expect(await status(from, `@${INET.otherDns}`, 'x.any.example')).toBe('NOERROR')
  // What joins answers is learned when the container is inspected, a moment after it started.
  for (const server of [INET.otherDns, INET.otherDns6])
    await lab().waitFor(`the answers of ${server} share packets`, async () => {
      await lab().host(['nft', '-f', '-'], { input: SEEN })
      const { stdout } = await lab().host([
        'nsenter',
        netns,
        'perl',
        '-e',
        RUSH,
        server,
        '60',
        'x.any.example',
      ])
      expect(stdout).toMatch(/^60: 0 \d+ $/)
      const { stdout: seen } = await lab().host(['nft', 'list', 'table', 'inet', 'seen'])
      await lab().host(['nft', 'delete', 'table', 'inet', 'seen'])
      const packets = Number(/packets (\d+)/.exec(seen)?.[1])
      expect(packets).toBeGreaterThan(0)
      return packets < 60
    })
  // Without policies too the log names who asked.
  expect(await status(from, `@${INET.otherDns}`, 'forbidden.example')).toBe('BLOCKED')
  await lab().waitFor('the log names the container', async () =>
    daemon.logs.split('\n').some((line) => line.includes('DNS name denied') && line.includes('rush-1')),
  )
})

test('what was cut since nobody knew its address is reached again when its name is asked for', async () => {
  await lab().inet.dns({ 'old.any.example': { a: ['203.0.113.43'] } })
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  const from = await inside(lab())
  const live = await LiveConnection.open(from, 'http://old.any.example')
  await guard(lab(), { config: `dns: { gateway: true }\nallow: ['**.any.example']` })
  await lab().waitFor('the connection is cut', async () => !(await live.flows()))
  // Well below the quarter of an hour for which it stays cut otherwise.
  await lab().waitFor(
    'it is reached again',
    async () => (await fetchPage(from, 'http://old.any.example/', { family: 4 })).code === 0,
    15_000,
  )
})

describe('an answer whose address the kernel does not take is withheld', () => {
  const config = `dns: { gateway: true }\nallow: ['**.any.example']`
  const withheld = async (): Promise<number> =>
    (await scrape(lab())).value('dns_queries_total', {
      policy: 'common',
      outcome: 'withheld',
      type: 'A',
    }) ?? 0
  let next = 0

  /** The status of a question for a name with an address that the kernel does not hold. */
  async function askedAnew(from: LabContainer): Promise<string> {
    next += 1
    return status(from, `n${next}.any.example`)
  }

  test('because its set is full', async () => {
    const names = Array.from({ length: 250 }, (_, number) => [
      `n${number}.any.example`,
      { a: [`198.19.1.${number}`] },
    ])
    await lab().inet.dns(Object.fromEntries(names))
    const first = await guard(lab(), { config })
    const from = await inside(lab())
    expect(await askedAnew(from)).toBe('NOERROR')
    const { stdout: saved } = await lab().host(['ipset', 'save'])
    const set = /^add (\S+) 198\.19\.1\.1 /m.exec(saved)?.[1] ?? ''
    const { stdout } = await lab().host(['ipset', 'list', '-t', set])
    const most = Number(/maxelem (\d+)/.exec(stdout)?.[1])
    expect(most).toBeGreaterThan(1000)
    // More than there is room for, in a range of no name of ours.
    const adds = Array.from(
      { length: most },
      (_, index) => `add ${set} 198.18.${index >> 8}.${index & 255} timeout 600 comment "somebody else"`,
    )
    const fill = () =>
      lab()
        .host(['ipset', '-exist', 'restore'], { input: `${adds.join('\n')}\n` })
        .catch(() => undefined)
    // A look that finds the strangers may come ahead of the question.
    await lab().waitFor(
      'a full set brings SERVFAIL',
      async () => {
        await fill()
        return (await askedAnew(from)) === 'SERVFAIL'
      },
      60_000,
    )
    expect(await withheld()).toBeGreaterThan(0)
    await lab().waitFor('what is not ours is gone again', async () => (await askedAnew(from)) === 'NOERROR')

    // What was withheld is wanted by the next process, for which there is no room either.
    await fill()
    await first.kill()
    await guard(lab(), { config })
    expect(await askedAnew(from)).toBe('NOERROR')
  })

  test('in time, by an `ipset` that hangs, where there is no other way to the kernel', async () => {
    // Alone: what it would find beside itself is not there.
    const alone = join(lab().directory, 'alone.cjs')
    await copyFile(bundle(), alone)
    vi.stubEnv('EMBARGOD_LAB_PROGRAM', alone)
    const daemon = await guard(lab(), { config }).finally(() => vi.unstubAllEnvs())
    expect(daemon.logs).toContain('one message at a time')
    const from = await inside(lab())
    expect(await askedAnew(from)).toBe('NOERROR')
    const { stdout } = await lab().host(['pgrep', '-f', '^ipset -exist -$'])
    for (const signal of ['STOP', 'CONT'] as const) {
      await lab().host(['kill', `-${signal}`, ...stdout.trim().split('\n')])
      const expected = signal === 'STOP' ? 'SERVFAIL' : 'NOERROR'
      await lab().waitFor(`${signal} brings ${expected}`, async () => (await askedAnew(from)) === expected)
    }
    expect(await withheld()).toBeGreaterThan(0)
  })
})

test('a restart answers from what was known, with dead upstreams too', async () => {
  await lab().inet.dns({ 'kept.any.example': { a: ['203.0.113.42'], ttl: 600 } })
  const config = `dns: { gateway: true }\nallow: ['**.any.example']`
  const first = await guard(lab(), { config })
  const from = await inside(lab())
  expect((await dig(from, 'kept.any.example')).stdout.trim()).toBe('203.0.113.42')
  expect(await first.term()).toBe(0)
  await lab().inet.dns({ 'kept.any.example': { silent: true } })
  const second = await guard(lab(), { config })
  expect((await dig(from, 'kept.any.example')).stdout.trim()).toBe('203.0.113.42')
  expect((await fetchPage(from, 'http://kept.any.example/', { family: 4 })).code).toBe(0)
  await second.term()
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  expect((await lab().host(['iptables-save'])).stdout).not.toContain('EMBARGOD')
  expect((await dig(from, 'allowed.example')).stdout.trim()).toBe('203.0.113.10')
})

test('nothing gets past it: not by TLS, not by another server, not by a forged source', async () => {
  await guard(lab(), {
    config: `dns: { gateway: true }\ndenyWith: reject\nallow: [allowed.example, { cidr: 203.0.113.53, ports: any }]`,
  })
  const from = await inside(lab(), { caps: ['NET_ADMIN'] })
  await lab().inet.forget()
  await lab().farEnd.reset()
  for (const port of [853])
    expect((await fetchPage(from, `http://203.0.113.53:${port}/`, { timeoutMs: 2000 })).code).not.toBe(0)
  expect(await lab().farEnd.count('203.0.113.53')).toBe(0)
  // Nobody asks the gateway but by the way of port 53: not from outside, not on the host, not from a container.
  const direct = ['+tries=1', '+time=1', '-p', '10053', 'allowed.example']
  for (const refused of [
    lab().internet(['dig', ...direct, `@${HOST.address}`], { okExitCodes: [9] }),
    lab().host(['dig', ...direct, '@127.0.0.1'], { okExitCodes: [9] }),
  ])
    expect((await refused).exitCode).toBe(9)
  expect((await from.exec(['dig', ...direct, '@172.17.0.1'])).code).toBe(9)
  // What is not of its network is nobody: it gets no answer.
  await from.exec(['ip', 'address', 'add', '172.17.9.9/16', 'dev', 'eth0'])
  expect(await status(from, '-b', '172.17.9.9', 'secret.example')).toBe('BLOCKED')
  expect(await asked()).not.toContain('secret.example')
  const explained = await lab().cli([
    'explain',
    from.name,
    'secret.example',
    '--config',
    lab().embargod.configFile,
  ])
  expect(explained).toMatchObject({ code: 6 })
  expect(explained.stdout).toContain('the DNS gateway does not answer')
})
