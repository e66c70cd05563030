import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { LabContainer, type ContainerOptions } from './container.ts'
import { importImage } from './image.ts'
import { addInternetAddresses, origin } from './reach.ts'
import { useLab } from './shared-lab.ts'
import { SlowReader } from './slow-reader.ts'
import { SystemdHost } from './systemd-host.ts'
import { HOST, INET } from './topology.ts'
import { LiveConnection } from './web.ts'

/** Containers on the host's network, on a host with nothing but cgroup v2: its own systemd and its own engine. */
const lab = useLab({ name: 'hostnet', startEngine: false })

const CONFIG = `
allow: [allowed.example, { cidr: 203.0.113.10/32, ports: [80/tcp] }, { cidr: "2001:db8:f::10/128", ports: [80/tcp] }]
guard: { hostNetwork: true }
resolver: { servers: [198.51.100.1] }
policies:
  more: { match: { container: more }, allow: [{ cidr: 203.0.113.20/32, ports: [80/tcp] }] }
  own: { match: { container: own }, allow: [{ cidr: 203.0.113.30/32, ports: [80/tcp] }], inherit: false }
  cloud: { match: { container: cloud }, metadata: allow }
`
const ALLOWED = [origin('203.0.113.10'), origin('2001:db8:f::10')]
const FORBIDDEN = [origin('203.0.113.66'), origin('2001:db8:f::66')]
const OF_MORE = origin('203.0.113.20')
const OF_OWN = origin('203.0.113.30')
const METADATA = [origin(INET.metadata), origin(INET.metadata6)]
const EVERYTHING = [...ALLOWED, ...FORBIDDEN, OF_MORE, OF_OWN, ...METADATA]
const WEB_PORT = 18_090

let host: SystemdHost
const containers = new Map<string, LabContainer>()
const from = (name: string): LabContainer => {
  const container = containers.get(name)
  if (!container) throw new Error(`no container ${name}`)
  return container
}
const run = async (name: string, options: ContainerOptions = {}): Promise<LabContainer> => {
  const container = await LabContainer.start(host.docker, { network: 'host', name, ...options })
  containers.set(name, container)
  return container
}

const shell = async (script: string): Promise<string> =>
  (await host.run(['sh', '-c', script], { okExitCodes: [1, 4, 6, 7, 22, 28] })).stdout.trim()
const curl = (url: string): string => `curl -gsS -o /dev/null --max-time 3 ${url}/ && echo ${url}`
const all = (urls: readonly string[]): string => `${urls.map((url) => `(${curl(url)}) &`).join(' ')} wait`

/** As any service of the host, in a control group beside those of containers. */
const asService = (script: string, ...args: readonly string[]): Promise<string> =>
  host
    .run(['systemd-run', '--quiet', '--pipe', '--wait', '/usr/bin/node', '-e', script, ...args])
    .then(({ stdout }) => stdout)
const FETCH = 'fetch(process.argv[1]).then((page) => page.text()).then(console.log)'
const FETCH_ALL = `Promise.all(JSON.parse(process.argv[1]).map((url) =>
  fetch(url, { signal: AbortSignal.timeout(5000) }).then(() => url, () => undefined),
)).then((urls) => console.log(JSON.stringify(urls)))`

/** Who of these answers a container. */
async function reached(name: string, urls: readonly string[] = EVERYTHING): Promise<readonly string[]> {
  const { stdout } = await from(name).exec(['sh', '-c', all(urls)])
  const answered = stdout.split('\n')
  return urls.filter((url) => answered.includes(url))
}

const unprotected = async (): Promise<readonly { reason: string; subject: string; advice: string }[]> =>
  JSON.parse(await shell('embargod status --json')).unprotected
const adviceFor = async (subject: string): Promise<string | undefined> =>
  (await unprotected()).find((one) => one.reason === 'host-network' && one.subject === subject)?.advice
const isHeld = async (name: string): Promise<boolean> =>
  !/not (held|filtered)/.test((await adviceFor(name)) ?? '')
const isUp = async (): Promise<boolean> =>
  (await host.show('embargod.service', 'ActiveState')) === 'active' &&
  (await host.run(['embargod', 'status'], { okExitCodes: [1, 4, 5] })).exitCode === 0
const guardedBy = async (config: string): Promise<void> => {
  await host.write('/etc/embargod/embargod.yaml', config, '0600')
  await host.run(['embargod', 'reload'])
}
/** A connection whose packets bear the mark by which the second guard knows what was approved. */
const MARKED = `
  socket(my $to, PF_INET, SOCK_STREAM, 0);
  setsockopt($to, SOL_SOCKET, 36, pack("I", 0x20000000)) or die "no mark: $!";
  alarm 3;
  print "through" if connect($to, sockaddr_in(80, inet_aton($ARGV[0])));
`
/** A thousand a second for 18 s, whatever becomes of them; says how many. */
const DATAGRAMS = `
  socket(my $to, PF_INET, SOCK_DGRAM, 0);
  my $there = sockaddr_in(9999, inet_aton($ARGV[0]));
  my ($sent, $end) = (0, time + 18);
  while (time < $end) {
    send($to, 'secret', 0, $there), $sent++ for 1 .. 10;
    select undef, undef, undef, 0.01;
  }
  print $sent;
`
const TABLE = 'nft list table inet embargod-hostnet 2>/dev/null'

beforeAll(async () => {
  host = new SystemdHost(lab(), { engine: 'inside' })
  await host.installEmbargod()
  await host.installNode()
  await host.install('etc/embargod/embargod.yaml', CONFIG, 0o600)
  await host.boot()
  await lab().waitFor('the engine answers', async () => (await host.docker.ping()).length > 0, 60_000)
  await importImage(host.docker)
  await run('agent')
  await run('more')
  await run('web', {
    network: 'bridge',
    cmd: ['httpd', '-f', '-p', '[::]:8090', '-h', '/etc'],
    publish: { 8090: WEB_PORT },
  })
}, 900_000)

afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return
  console.error(await host.status('embargod.service'), await shell(`${TABLE}; iptables -S; embargod status`))
})

test('without the guard they reach all of it', async () => {
  expect(await reached('agent')).toEqual(EVERYTHING)
})

test('with it they are held as soon as it stands', async () => {
  await host.run(['systemctl', 'start', 'embargod.service'])
  await lab().waitFor('healthy', isUp)
  await lab().farEnd.reset()
  expect(await reached('agent')).toEqual(ALLOWED)
  expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
  expect(await lab().farEnd.count('2001:db8:f::66')).toBe(0)
  expect(await lab().farEnd.count(INET.metadata)).toBe(0)
})

test('a name is looked up and reached', async () => {
  const { stdout } = await from('agent').exec(['curl', '-sS', '--max-time', '5', 'http://allowed.example/'])
  expect(stdout).toMatch(/hello from (203\.0\.113\.10|2001:db8:f::10) /)
})

describe('by policy', () => {
  test('one has more', async () => {
    expect(await reached('more')).toEqual([...ALLOWED, OF_MORE])
  })

  test('one has nothing but its own, one has metadata', async () => {
    await run('own')
    await run('cloud')
    await lab().waitFor('both are held', async () => (await isHeld('own')) && (await isHeld('cloud')))
    expect(await reached('own')).toEqual([OF_OWN])
    expect(await reached('cloud')).toEqual([...ALLOWED, ...METADATA])
  })
})

test('who joins one of them is held by his own name', async () => {
  await run('guest', { network: `container:${from('more').id}` })
  await lab().waitFor('it is held', () => isHeld('guest'))
  expect(await reached('guest')).toEqual(ALLOWED)
})

test('the host itself, its engine and who listens on it are untouched', async () => {
  expect(JSON.parse(await asService(FETCH_ALL, JSON.stringify(EVERYTHING)))).toEqual(EVERYTHING)
  const published = `${origin(HOST.address, WEB_PORT)}/passwd`
  expect((await lab().internet(['curl', '-gsS', '--max-time', '5', published])).stdout).toContain('root:')
  for (const address of ['127.0.0.1', '[::1]'])
    expect(await asService(FETCH, `http://${address}:${WEB_PORT}/passwd`)).toContain('root:')
  expect((await host.docker.info()).CgroupVersion).toBe('2')
})

test('a health check on localhost and who connects from outside are answered', async () => {
  await run('server', { cmd: ['httpd', '-f', '-p', '[::]:18095', '-h', '/etc'] })
  await lab().waitFor('it is held', () => isHeld('server'))
  for (const address of ['127.0.0.1', '::1', HOST.address]) {
    const page = await from('server').exec([
      'curl',
      '-gsS',
      '--max-time',
      '5',
      `${origin(address, 18_095)}/passwd`,
    ])
    expect(page.stdout).toContain('root:')
  }
  for (const address of [HOST.address, HOST.address6]) {
    const url = `${origin(address, 18_095)}/passwd`
    expect((await lab().internet(['curl', '-gsS', '--max-time', '5', url])).stdout).toContain('root:')
  }
  expect(await reached('server', FORBIDDEN)).toEqual([])
})

test('restarted, it is held in its new control group', async () => {
  const before = await shell(`${TABLE} | grep -c ${from('agent').id}`)
  await from('agent').restart()
  await lab().waitFor('it is held', async () => (await reached('agent', FORBIDDEN)).length === 0)
  expect(await reached('agent')).toEqual(ALLOWED)
  expect(await shell(`${TABLE} | grep -c ${from('agent').id}`)).toBe(before)
  expect(await shell('embargod plan')).toContain('nothing to do')
})

test('a connection keeps going where it is allowed, and ends when the right to it goes', async () => {
  const allowed = await LiveConnection.open(from('agent'), origin('203.0.113.10'))
  const opened = await LiveConnection.open(from('more'), OF_MORE)
  await guardedBy(CONFIG.replace('cidr: 203.0.113.20/32', 'cidr: 203.0.113.21/32'))
  expect(await reached('more', [OF_MORE])).toEqual([])
  // The far end sends on, and gets no acknowledgement.
  await lab().farEnd.reset()
  expect([await allowed.flows(2000), await lab().farEnd.count('203.0.113.20')]).toEqual([true, 0])
  await guardedBy(CONFIG)
  expect(await opened.lines()).toBeGreaterThan(1)
}, 90_000)

test('marks that are moved to other bits let nobody out meanwhile, and cut nobody', async () => {
  const live = await LiveConnection.open(from('agent'), origin('203.0.113.10'))
  await lab().farEnd.reset()
  const flooded = from('agent').exec(['perl', '-MSocket', '-e', DATAGRAMS, '203.0.113.66'], {
    timeoutMs: 60_000,
  })
  for (const moved of [
    ', mark: 0x1, marks: { rights: 0xff800000, generation: 0xff0, hostNetwork: 0x2 }',
    '',
  ]) {
    await guardedBy(CONFIG.replace('hostNetwork: true', `hostNetwork: true${moved}`))
    expect(await live.flows(2000), moved).toBe(true)
    expect(await reached('more'), moved).toEqual([...ALLOWED, OF_MORE])
    expect(await shell('embargod explain more 203.0.113.20:80'), moved).toMatch(/^allowed/)
    expect(await shell('embargod explain agent 203.0.113.20:80'), moved).toMatch(/^denied/)
  }
  expect(Number((await flooded).stdout)).toBeGreaterThan(10_000)
  expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
}, 90_000)

test('what a process leaves behind when it ends is still judged by the rights of its container', async () => {
  const rights = (...addresses: readonly string[]): string => `policies:
  late: { match: { container: late }, allow: [{ cidrs: [${addresses.join(', ')}], ports: [7777/tcp] }] }`
  const [kept, cut] = ['203.0.113.40', '203.0.113.41']
  const readers = [await SlowReader.start(lab(), kept), await SlowReader.start(lab(), cut)] as const
  await guardedBy(CONFIG.replace('policies:', rights(kept, cut)))
  await run('late')
  const other = await run('late-too')
  await guardedBy(
    CONFIG.replace('policies:', rights(kept, cut).replace('container: late', 'container: late*')),
  )
  await lab().waitFor('both are held', async () => (await isHeld('late')) && (await isHeld('late-too')))
  const written = [await readers[0].writtenFrom(from('late')), await readers[1].writtenFrom(other)] as const
  // Its control group goes with it, and what it has written is with the kernel.
  await other.stop()
  containers.delete('late-too')
  await guardedBy(CONFIG.replace('policies:', rights(kept).replace('container: late', 'container: late*')))
  expect([readers[0].bytes, readers[1].bytes]).toEqual([0, 0])
  await lab().farEnd.reset()
  for (const reader of readers) reader.read()
  await lab().waitFor('what is allowed still arrives', () => readers[0].bytes === written[0])
  await sleep(2000)
  expect([await lab().farEnd.count(cut), written[1] - readers[1].bytes > 100_000]).toEqual([0, true])
  for (const reader of readers) await reader.stop()
  await from('late').stop()
  await guardedBy(CONFIG)
}, 90_000)

describe('a published port is a relay for who has nothing of what is common', () => {
  const published = [HOST.address, '127.0.0.1', '::1'].map((address) => `${origin(address, WEB_PORT)}/passwd`)

  test('whichever way leads to it', async () => {
    expect(await reached('more', published)).toEqual(published)
    expect(await reached('own', published)).toEqual([])
    const loopback = [`${origin('127.0.0.1', WEB_PORT + 1)}/passwd`]
    await LabContainer.start(host.docker, {
      name: 'loopback-web',
      network: 'bridge',
      cmd: ['httpd', '-f', '-p', '[::]:8090', '-h', '/etc'],
      publish: { 8090: WEB_PORT + 1 },
      host: { PortBindings: { '8090/tcp': [{ HostIp: '127.0.0.1', HostPort: String(WEB_PORT + 1) }] } },
    })
    await lab().waitFor('it answers', async () => (await reached('more', loopback)).length === 1)
    await lab().waitFor('it is closed', async () => (await reached('own', loopback)).length === 0)
  })

  test('and an address of the host that somebody leads elsewhere is no way out', async () => {
    const rule = ['-d', HOST.address, '-p', 'tcp', '--dport', '9999', '-j', 'DNAT', '--to', '203.0.113.66:80']
    await host.run(['iptables', '-t', 'nat', '-I', 'OUTPUT', ...rule])
    await lab().farEnd.reset()
    const relay = `http://${HOST.address}:9999`
    expect(JSON.parse(await asService(FETCH_ALL, JSON.stringify([relay])))).toEqual([relay])
    const before = await lab().farEnd.count('203.0.113.66')
    expect(await reached('agent', [relay])).toEqual([])
    expect(await lab().farEnd.count('203.0.113.66')).toBe(before)
    await host.run(['iptables', '-t', 'nat', '-D', 'OUTPUT', ...rule])
  })
})

test('status says who can send frames past it, and explain which rule decides', async () => {
  expect(await adviceFor('agent')).toContain('cap_drop: [NET_RAW]')
  await run('quiet', { host: { CapDrop: ['NET_RAW'] } })
  await lab().waitFor('it is held', async () => (await adviceFor('quiet')) === undefined)
  expect(await shell('embargod explain agent 203.0.113.66:80')).toMatch(/^denied: agent/)
  expect(await shell('embargod explain more 203.0.113.20:80')).toMatch(/^allowed: more .*\n.*allow more/)
  expect(await shell('embargod explain agent 203.0.113.20:80')).toMatch(/^denied/)
  expect(await shell('embargod explain guest 203.0.113.10:80')).toMatch(/^allowed/)
  expect(await shell('embargod explain cloud 169.254.169.254:80')).toMatch(/^allowed/)
  expect(await shell('embargod explain agent 127.0.0.1:22')).toMatch(/^allowed.*\n.*to the host itself/)
})

test('labels that make the events of a container too long to read do not keep it from being held', async () => {
  await lab().farEnd.reset()
  await run('loud', { labels: { noise: 'x'.repeat(3 * 1024 * 1024) } })
  await lab().waitFor(
    'it is held',
    async () => (await reached('loud', [...ALLOWED, ...FORBIDDEN])).join() === ALLOWED.join(),
    5_000,
  )
  expect(await isHeld('loud')).toBe(true)
  await from('loud').stop()
})

/** Starts the rest in the control group whose directory is named first, which no mount for reading only forbids. */
const STARTED_IN = `
  sysopen(my $group, shift(@ARGV), 0) or die "no group: $!";
  my $args = pack("Q11", 0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, fileno($group));
  my $child = syscall(435, $args, length $args);
  die "refused: $!" if $child < 0;
  if ($child == 0) { exec(@ARGV) or die }
  waitpid($child, 0);
  exit($? >> 8);
`

describe('who can leave its control group is named, for nothing else shows it', () => {
  const url = `${origin('203.0.113.66')}/`
  const curls = ['curl', '-gsS', '-o', '/dev/null', '--max-time', '3', url]
  const startsIn = (group: string) => ['perl', '-e', STARTED_IN, group, ...curls]
  const moves = ['sh', '-c', `mkdir -p /cg/free && echo $$ > /cg/free/cgroup.procs && ${curls.join(' ')}`]
  const unfiltered = { SecurityOpt: ['seccomp=unconfined'] }

  test.each([
    ['mover', { binds: ['/sys/fs/cgroup:/cg:rw'] }, moves],
    [
      'seer',
      { host: { CgroupnsMode: 'host' as const, ...unfiltered } },
      startsIn('/sys/fs/cgroup/init.scope'),
    ],
    ['reader', { binds: ['/sys/fs/cgroup:/cg:ro'], host: unfiltered }, startsIn('/cg/init.scope')],
  ])('%s', async (name, options, escape) => {
    await run(name, options)
    await lab().waitFor('it is held', () => isHeld(name))
    expect(await reached(name, FORBIDDEN)).toEqual([])
    const { code, stderr } = await from(name).exec(escape)
    expect([code, stderr]).toEqual([0, ''])
    expect(await adviceFor(name)).toContain('may leave the control group that holds it')
    await from(name).stop()
  })

  test('the same calls get a container nowhere that has the filter of the engine', async () => {
    await run('filtered', { host: { CgroupnsMode: 'host' } })
    await lab().waitFor('it is held', () => isHeld('filtered'))
    const { stderr } = await from('filtered').exec(startsIn('/sys/fs/cgroup/init.scope'))
    expect(stderr).toContain('refused')
    expect(await adviceFor('filtered')).not.toContain('may leave')
    await from('filtered').stop()
  })
})

describe('what somebody changes is put right', () => {
  test.each([
    'nft delete table inet embargod-hostnet',
    'nft flush chain inet embargod-hostnet output',
    'iptables -F OUTPUT',
    'ip6tables -F EMBARGOD-OUTPUT',
  ])('%s', async (command) => {
    await host.run(['sh', '-c', command])
    await lab().waitFor(
      'it is held again',
      async () => (await reached('agent', FORBIDDEN)).length === 0,
      20_000,
    )
    expect(await shell('embargod plan')).toContain('nothing to do')
  })
})

test('stopped and started, the daemon finds its own', async () => {
  await host.run(['systemctl', 'stop', 'embargod.service'])
  expect(await reached('agent')).toEqual(ALLOWED)
  await host.run(['systemctl', 'start', 'embargod.service'])
  expect(await reached('agent')).toEqual(ALLOWED)
})

test('a mark of its own approves nothing', async () => {
  const inner = '10.77.0.1'
  await addInternetAddresses(lab(), [inner])
  const wide = `policies:
  wide: { match: { container: wide }, allow: [{ to: internet, ports: [80/tcp] }] }`
  await guardedBy(CONFIG.replace('policies:', wide))
  await run('wide', { caps: ['NET_ADMIN'] })
  await lab().waitFor('it is held', async () => (await reached('wide', [origin(inner)])).length === 0)
  const marked = async (address: string): Promise<boolean> => {
    const { stdout } = await from('wide').exec(['perl', '-MSocket', '-e', MARKED, address])
    return stdout === 'through'
  }
  await lab().farEnd.reset()
  expect(await marked('203.0.113.66')).toBe(true)
  expect(await marked(inner)).toBe(false)
  expect(await lab().farEnd.count(inner)).toBe(0)
  await guardedBy(CONFIG)
})

test('taken out of the config, it leaves nothing behind', async () => {
  await guardedBy(CONFIG.replace('guard: { hostNetwork: true }', ''))
  expect(await shell(`${TABLE}; iptables -S; ip6tables -S`)).not.toMatch(/hostnet|OUTPUT -|EMBARGOD-OUTPUT/)
  expect(await reached('agent')).toEqual(EVERYTHING)
  await guardedBy(CONFIG)
  expect(await reached('agent')).toEqual(ALLOWED)
})

test('cleanup takes all of it away', async () => {
  await host.run(['embargod', 'cleanup', '--stop', '--yes'])
  expect(await shell('nft list tables; iptables -S; ip6tables -S')).not.toMatch(/embargod/i)
  expect(await reached('agent')).toEqual(EVERYTHING)
})
