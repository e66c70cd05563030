import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ContainerOptions, LabContainer } from './container.ts'
import { origin, reached } from './reach.ts'
import { inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'

/** Other rights for other containers, and nobody takes those of somebody else. */
const lab = useLab({ name: 'policies' })

const CONFIG = `
denyWith: reject
allow:
  - { cidrs: [203.0.113.10, '2001:db8:f::10'], ports: [80/tcp] }
policies:
  shop:
    match: { compose: shop }
    allow: [{ cidrs: [203.0.113.20, '2001:db8:f::20'], ports: [80/tcp] }]
  web:
    match: { compose: shop/web }
    allow: [{ cidrs: [203.0.113.21, '2001:db8:f::21'], ports: [80/tcp] }]
  payments:
    match: { network: payments }
    allow: [{ cidrs: [203.0.113.30, '2001:db8:f::30'], ports: [80/tcp] }]
    inherit: false
    denyWith: drop
  crawler:
    match: { container: 'crawler-*' }
    allow: [{ to: internet, ports: [80/tcp] }]
  role:
    match: { container: role }
    metadata: allow
`

const TARGETS = {
  common: { 4: '203.0.113.10', 6: '2001:db8:f::10' },
  shop: { 4: '203.0.113.20', 6: '2001:db8:f::20' },
  web: { 4: '203.0.113.21', 6: '2001:db8:f::21' },
  payments: { 4: '203.0.113.30', 6: '2001:db8:f::30' },
  anywhere: { 4: '203.0.113.99', 6: '2001:db8:f::99' },
  metadata: { 4: INET.metadata, 6: INET.metadata6 },
} as const
type Target = keyof typeof TARGETS
const ALL = Object.keys(TARGETS) as Target[]

const service = (project: string, name: string): Record<string, string> => ({
  'com.docker.compose.project': project,
  'com.docker.compose.service': name,
})

const MEMBERS: Readonly<Record<string, ContainerOptions>> = {
  nobody: { name: 'nobody', network: 'shop' },
  web: { name: 'web', network: 'shop', labels: service('shop', 'web') },
  db: { name: 'db', network: 'shop', labels: service('shop', 'db') },
  payments: { name: 'pay', network: 'payments' },
  crawler: { name: 'crawler-1', network: 'tailored' },
  role: { name: 'role', network: 'bridge' },
}
const REACHES: Readonly<Record<string, readonly Target[]>> = {
  nobody: ['common'],
  web: ['common', 'shop', 'web'],
  db: ['common', 'shop'],
  payments: ['payments'],
  crawler: ['common', 'shop', 'web', 'payments', 'anywhere'],
  role: ['common', 'metadata'],
}

const containers = new Map<string, LabContainer>()
const the = (name: string): LabContainer => {
  const container = containers.get(name)
  if (!container) throw new Error(`no container ${name}`)
  return container
}

async function reachedBy(from: LabContainer, family: 4 | 6, targets = ALL, seconds = 3): Promise<Target[]> {
  const origins = targets.map((target) => origin(TARGETS[target][family]))
  const answered = await reached(from, origins, { seconds })
  return targets.filter((_, index) => answered.includes(origins[index] ?? ''))
}

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('payments', { ipv6: true })
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  // Some are there before us, the others come later.
  for (const name of ['web', 'payments', 'role'])
    containers.set(name, await lab().container(MEMBERS[name] ?? {}))
  await lab().daemon({ config: CONFIG })
  for (const name of ['nobody', 'db', 'crawler'])
    containers.set(name, await lab().container(MEMBERS[name] ?? {}))
})

describe.each([4, 6] as const)('IPv%i', (family) => {
  test.each(Object.keys(REACHES))('%s reaches what is its own and nothing else', async (name) => {
    await lab().waitFor(
      `${name} has its rights`,
      async () => (await reachedBy(the(name), family, (REACHES[name] ?? []).slice(-1), 1)).length === 1,
    )
    await lab().farEnd.reset()
    expect(await reachedBy(the(name), family)).toEqual(REACHES[name])
    for (const target of ALL) {
      const packets = await lab().farEnd.count(TARGETS[target][family], { proto: 'tcp', port: 80 })
      expect([target, packets > 0]).toEqual([target, REACHES[name]?.includes(target)])
    }
  })

  test('nobody gets the rights of a neighbour by sending in its name', async () => {
    const { ipv4, ipv6 } = await the('web').addresses()
    const source = family === 4 ? ipv4[0] : ipv6[0]
    await lab().farEnd.reset()
    const target = TARGETS.web[family]
    const { code, stderr } = await the('nobody').exec(
      `sender flood --proto=syn --src=${source} --dst=${target} --port=80 --rate=500 --seconds=2`.split(' '),
    )
    expect([code, stderr]).toEqual([0, ''])
    expect(await lab().farEnd.count(target)).toBe(0)
    expect(await forgedFrames()).toBeGreaterThan(500)
    // And the neighbour keeps what it has.
    expect(await reachedBy(the('web'), family, ['web'])).toEqual(['web'])
  })
})

async function forgedFrames(): Promise<number> {
  const { stdout } = await lab().cli(['rules'])
  return Number(/([\d,]+) forged frames/.exec(stdout)?.[1]?.replaceAll(',', ''))
}

test('nobody gets them by taking its addresses, hardware address included', async () => {
  const thief = await inside(lab(), { network: 'shop', name: 'thief', caps: ['NET_ADMIN'] })
  await lab().waitFor(
    'it has its rights',
    async () => (await reachedBy(thief, 4, ['common'], 1)).length === 1,
  )
  const { ipv4, ipv6 } = await the('web').addresses()
  const mac = (await the('web').exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim()
  await lab().farEnd.reset()
  const script = [
    'ip link set eth0 down',
    `ip link set eth0 address ${mac}`,
    `ip address flush dev eth0`,
    `ip address add ${ipv4[0]}/16 dev eth0`,
    `ip -6 address add ${ipv6[0]}/64 dev eth0`,
    'ip link set eth0 up',
    'ip route add default via $(echo $GATEWAY)',
  ].join(' && ')
  const gateway = (await thief.exec(['sh', '-c', "ip route | awk '/^default/ {print $3}'"])).stdout.trim()
  const { code, stderr } = await thief.exec(['sh', '-c', script.replace('$(echo $GATEWAY)', gateway)])
  expect([code, stderr]).toEqual([0, ''])
  expect(await reachedBy(thief, 4, ['web', 'shop', 'common'], 2)).toEqual([])
  for (const target of ['web', 'shop', 'common'] as const)
    expect(await lab().farEnd.count(TARGETS[target][4])).toBe(0)
  await lab().waitFor(
    'the neighbour is unharmed',
    async () => (await reachedBy(the('web'), 4, ['web'], 2)).length === 1,
  )
})

test("a port that is nobody's passes neither for a container nor for the bridge or a router", async () => {
  const { Id, IPAM } = await lab().docker.getNetwork('shop').inspect()
  const gateway = IPAM?.Config?.find(({ Gateway }) => Gateway?.includes('.'))?.Gateway ?? ''
  const mac = (await the('web').exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim()
  await lab().host(['ip', 'link', 'add', 'vethstray', 'type', 'veth', 'peer', 'name', 'stray0'])
  onTestFinished(async () => void (await lab().host(['ip', 'link', 'delete', 'vethstray'])))
  await lab().host(['ip', 'link', 'set', 'vethstray', 'master', `br-${Id.slice(0, 12)}`, 'up'])
  await lab().host(['ip', 'link', 'set', 'stray0', 'up'])
  const own = '020000000099'
  const everybody = 'ff'.repeat(6)
  const hex = (address: string) =>
    address
      .split('.')
      .map((part) => Number(part).toString(16).padStart(2, '0'))
      .join('')
  const claim = (address: string) =>
    `${everybody}${own}08060001080006040002${own}${hex(address)}${everybody}${hex(address)}`
  const router = `333300000001${own}86dd6000000000103afffe80${'0'.repeat(26)}99ff02${'0'.repeat(27)}18600${'0'.repeat(28)}`
  const dropped = async (frame: string): Promise<number> => {
    const before = await claimedFrames()
    await lab().host(['perl', '-e', SEND_FRAME, 'stray0', frame])
    return (await claimedFrames()) - before
  }
  expect(await dropped(claim('172.31.255.9'))).toBe(0)
  expect(await dropped(claim(gateway))).toBe(1)
  expect(await dropped(`${everybody}${mac.replaceAll(':', '')}88b5${'0'.repeat(92)}`)).toBe(1)
  expect(await dropped(router)).toBe(1)
})

/** A frame as it is, by an interface. */
const SEND_FRAME = `
my ($name, $frame) = @ARGV;
open my $file, '<', "/sys/class/net/$name/ifindex" or die;
socket(my $socket, 17, 3, 0) or die "socket: $!";
send($socket, pack('H*', $frame), 0, pack('S n i S C C a8', 17, 0, <$file>, 0, 0, 6, '')) or die "send: $!";
`

async function claimedFrames(): Promise<number> {
  const { stdout } = await lab().cli(['rules'])
  return Number(/([\d,]+) frames dropped that used/.exec(stdout)?.[1]?.replaceAll(',', ''))
}

test('who gets the address of a container that is gone gets none of its rights', async () => {
  for (let round = 0; round < 3; round += 1) {
    const privileged = await lab().container({ network: 'shop', labels: service('shop', 'web') })
    await lab().waitFor(
      'it has its rights',
      async () => (await reachedBy(privileged, 4, ['web'], 1)).length === 1,
    )
    const before = await privileged.addresses()
    await privileged.stop()
    await lab().farEnd.reset()
    const flood = `sender flood --proto=syn --dst=${TARGETS.web[4]} --port=80 --rate=500 --seconds=1`
    const heir = await lab().container({ network: 'shop', cmd: ['sh', '-c', `${flood}; sleep 600`] })
    const after = await heir.addresses()
    if (lab().engineVersion === '20.10') expect(after.ipv4).toEqual(before.ipv4)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(await lab().farEnd.count(TARGETS.web[4])).toBe(0)
    await heir.stop()
  }
})
