import { describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/model.ts'
import type { Address } from '../../../src/net/types.ts'
import type { HostInterface } from '../../../src/system/host.ts'
import { parseEngine } from '../../../src/workloads/engine.ts'
import { decideInterfaces } from '../../../src/workloads/guarded.ts'
import { parseInventory } from '../../../src/workloads/inventory.ts'
import type { HostNetworkState } from '../../../src/workloads/unprotected/input.ts'
import { findUnprotected } from '../../../src/workloads/unprotected/unprotected.ts'
import type { EngineJson } from '../../support/docker-json.ts'
import {
  containerJson,
  defaultBridgeJson,
  ENGINE_20,
  ENGINE_29_NFTABLES,
  ENGINE_ROOTLESS,
  engineOn,
  networkJson,
} from '../../support/docker-json.ts'

interface Facts {
  networks?: unknown[]
  containers?: unknown[]
  engine?: EngineJson
  interfaces?: HostInterface[]
  smtp?: Config['smtp']
  inbound?: Config['guard']['inbound']
  policies?: Pick<Config['policies'][number], 'id' | 'smtp'>[]
  socket?: string
  secondGuard?: boolean
  proven?: boolean
  dnsGateway?: boolean
  askedByEngine?: string[]
  openPolicies?: { policy: string; entries: string[] }[]
  hostNetwork?: HostNetworkState
}

const adviceOn = (facts: Facts) => unprotected(facts).map(({ advice }) => advice)

const judge = (facts: Facts) => {
  const found = unprotected(facts)
  // Whatever it is, an operator gets one sentence.
  for (const { advice } of found) expect(advice).toMatch(/^[A-Z].{20,200}\.$/)
  return found.map(({ reason, subject }) => (subject === '' ? reason : `${reason} ${subject}`))
}

const unprotected = ({
  networks = [defaultBridgeJson(), networkJson()],
  containers = [],
  engine = ENGINE_20,
  interfaces = [],
  smtp,
  inbound = 'published',
  policies = [],
  socket = '/var/run/docker.sock',
  secondGuard = true,
  proven = true,
  dnsGateway = true,
  askedByEngine = [],
  openPolicies = [],
  hostNetwork,
}: Facts) => {
  const inventory = parseInventory({ networks, containers }).value
  const guard = { networks: 'all' as const, except: [], ignoreInterfaces: [], mark: 1 }
  return findUnprotected({
    inventory,
    engine: parseEngine(engine),
    interfaces,
    plan: decideInterfaces(inventory, interfaces, guard),
    config: { smtp, policies, docker: { socket }, guard: { inbound } },
    secondGuard,
    proven,
    mixedNetworks: [],
    dnsGateway,
    askedByEngine,
    openPolicies,
    hostNetwork,
  })
}

const bridge = (name: string, ports: HostInterface['ports']): HostInterface => ({
  name,
  kind: 'bridge',
  index: 3,
  isBridge: true,
  lower: undefined,
  ports,
  addresses: [],
})
const smtp = (destinations: 'allowed' | 'any'): Config['smtp'] => ({
  ports: [25],
  rate: { count: 5, per: 'minute' },
  burst: 5,
  per: 'container',
  destinations,
})

test('an ordinary host with an ordinary container has nothing to tell', () => {
  expect(judge({ containers: [containerJson()], smtp: smtp('allowed') })).toEqual([])
})

test.each([
  ['no DNS gateway', { dnsGateway: false }, ['dns-tunnel']],
  ['no backstop', { secondGuard: false }, ['no-second-guard']],
  ['answers to anybody who connects', { inbound: 'any' as const }, ['published-inbound']],
  ['mail to anyone', { smtp: smtp('any') }, ['smtp-any']],
  ['mail to anyone for some', { policies: [{ id: 'mailer', smtp: smtp('any') }] }, ['smtp-any mailer']],
  [
    'an allow list that is open to everything',
    { openPolicies: [{ policy: 'common', entries: ['0.0.0.0/0 (a.yaml:2:5)', '::/0 (a.yaml:3:5)'] }] },
    ['open-policy common'],
  ],
  ['a rootless engine', { engine: ENGINE_ROOTLESS }, ['rootless']],
  [
    'an engine on nftables that is not proven',
    { engine: ENGINE_29_NFTABLES, proven: false },
    ['engine-backend'],
  ],
  ['an engine on nftables that is proven', { engine: ENGINE_29_NFTABLES }, []],
  ['an engine on firewalld and nftables', { engine: engineOn('nftables+firewalld') }, []],
  ['an engine on what nobody knows, proven or not', { engine: engineOn('ebpf') }, ['engine-backend']],
  ['macvlan', { networks: [networkJson({ Name: 'lan', Driver: 'macvlan' })] }, ['macvlan lan']],
  ['ipvlan', { networks: [networkJson({ Name: 'lan', Driver: 'ipvlan' })] }, ['ipvlan lan']],
])('%s', (_title, facts, found) => {
  expect(judge(facts)).toEqual(found)
})

describe('a network whose containers have the engine ask for them', () => {
  const shop = networkJson({ Options: { 'com.docker.network.bridge.name': 'shop0' } })
  const interfaces = (...addresses: string[]): HostInterface[] => [
    { ...bridge('docker0', []), addresses: addresses as Address[] },
    bridge('shop0', []),
  ]
  const facts = { networks: [defaultBridgeJson(), shop], askedByEngine: ['shop_default'] }

  test('is named, with the line of daemon.json that mends it', () => {
    const asked = { ...facts, interfaces: interfaces('fe80::1', '172.17.0.1') }
    expect(judge(asked)).toEqual(['dns-tunnel shop_default'])
    expect(adviceOn(asked)[0]).toContain('`embargod setup-dns` write "dns": ["172.17.0.1"] into daemon.json')
  })

  test('is told to name an address where the default bridge has none', () => {
    const asked = { ...facts, interfaces: interfaces() }
    expect(judge(asked)).toEqual(['dns-tunnel shop_default'])
    expect(adviceOn(asked)[0]).toContain('setup-dns --address')
  })

  test.each([
    ['there is no gateway to get past', { dnsGateway: false }, ['dns-tunnel']],
    ['the network is not guarded', { askedByEngine: ['host'] }, []],
  ])('is not where %s', (_title, more, found) => {
    expect(judge({ ...facts, interfaces: interfaces('172.17.0.1'), ...more })).toEqual(found)
  })
})

describe('containers', () => {
  const mount = (Source: string, RW = true) => ({ Mounts: [{ Type: 'bind', Source, Destination: '/x', RW }] })
  const published = { network: { Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '80' }] } } }
  test.each([
    ['on the host network', { host: { NetworkMode: 'host' } }, ['host-network web']],
    [
      'on the host network with NET_ADMIN',
      { host: { NetworkMode: 'host', CapAdd: ['NET_ADMIN'] } },
      ['host-network web', 'netadmin-on-host web'],
    ],
    [
      'on the host network, privileged',
      { host: { NetworkMode: 'host', Privileged: true } },
      ['host-network web', 'netadmin-on-host web', 'privileged web'],
    ],
    ['with NET_ADMIN in its own network', { host: { CapAdd: ['NET_ADMIN'] } }, []],
    ['privileged', { host: { Privileged: true } }, ['privileged web']],
    ['with the socket', mount('/var/run/docker.sock'), ['docker-socket-mounted web']],
    ['with the socket by its other name', mount('/run/docker.sock'), ['docker-socket-mounted web']],
    ['with the socket, read-only', mount('/run/docker.sock', false), ['docker-socket-mounted web']],
    ['with the directory of the socket', mount('/var/run/', false), ['docker-socket-mounted web']],
    ['with the whole host', mount('/', false), ['docker-socket-mounted web']],
    ['with the socket of containerd', mount('/run/containerd'), ['docker-socket-mounted web']],
    ["with the socket of the engine's own containerd", mount('/run/docker'), ['docker-socket-mounted web']],
    ['with the socket of another engine', mount('/var/run/podman'), ['docker-socket-mounted web']],
    ['with the socket of the service manager', mount('/run/systemd', false), ['privileged web']],
    ['with the bus by which it is asked', mount('/var/run/dbus/system_bus_socket'), ['privileged web']],
    ['with the settings of the host', mount('/etc'), ['privileged web']],
    ['with the settings of the host, read-only', mount('/etc', false), []],
    ['with one of them', mount('/etc/letsencrypt'), []],
    ['with the switches of the kernel', mount('/proc'), ['privileged web']],
    ['with all capabilities', { host: { CapAdd: ['ALL'] } }, ['privileged web']],
    ['with kernel modules', { host: { CapAdd: ['CAP_SYS_MODULE'] } }, ['privileged web']],
    ['with the processes of the host', { host: { PidMode: 'host' } }, []],
    ['and power over them', { host: { PidMode: 'host', CapAdd: ['SYS_PTRACE'] } }, ['privileged web']],
    ['that was listed and not inspected', { State: { Running: true } }, ['privileged web']],
    ['with a neighbour of the socket', mount('/run/docker.sock.d'), []],
    ['with a volume', mount('/var/lib/docker/volumes/x/_data'), []],
    ['with a published port', published, ['published-inbound web']],
    ['that is stopped', { running: false, host: { NetworkMode: 'host', Privileged: true } }, []],
  ])('%s', (_title, fields, found) => {
    expect(judge({ containers: [containerJson({ name: 'web', ...fields })] })).toEqual(found)
  })

  test('the socket of the config counts, wherever it is', () => {
    const containers = [containerJson({ name: 'web', ...mount('/srv/engine') })]
    expect(judge({ containers, socket: '/srv/engine/api.sock' })).toEqual(['docker-socket-mounted web'])
  })

  test('who joins the network of a container on the host network is on it too; a ring of joins is not', () => {
    const id = (letter: string) => letter.repeat(64)
    const joined = (letter: string, name: string, mode: string) =>
      containerJson({ id: id(letter), name, host: { NetworkMode: mode } })
    expect(
      judge({
        containers: [
          joined('a', 'web', 'host'),
          joined('b', 'sidecar', `container:${id('a')}`),
          joined('c', 'ring', `container:${id('d')}`),
          joined('d', 'ring2', `container:${id('c')}`),
        ],
      }),
    ).toEqual(['host-network web', 'host-network sidecar'])
  })
})

describe('bridges', () => {
  test('a guarded bridge with a port that is no container', () => {
    const ports = [
      { index: 4, name: 'veth0a1b2c3', kind: 'veth' },
      { index: 5, name: 'eth1', kind: undefined },
    ]
    expect(judge({ interfaces: [bridge('br-b0c1d2e3f4a5', ports)] })).toEqual([
      'bridge-uplink br-b0c1d2e3f4a5',
    ])
  })

  test('a pair to some other namespace is no container of the engine', () => {
    expect(judge({ interfaces: [bridge('docker0', [{ index: 4, name: 'uplink', kind: 'veth' }])] })).toEqual([
      'bridge-uplink docker0',
    ])
  })

  test('an uplink on a bridge of somebody else is nothing of ours, its name is', () => {
    expect(judge({ interfaces: [bridge('br-lan', [{ index: 4, name: 'eth0', kind: undefined }])] })).toEqual([
      'foreign-bridge br-lan',
    ])
  })

  describe('on the host network, held to policy', () => {
    const agent = (host: Record<string, unknown>) =>
      containerJson({ id: 'a'.repeat(64), name: 'web', host: { NetworkMode: 'host', ...host } })
    const HELD: HostNetworkState = {
      held: new Set(['a'.repeat(64)]),
      unheld: new Map(),
      problem: undefined,
    }
    const SILENT = { CapDrop: ['CAP_NET_RAW'] }

    test.each([
      ['with the capabilities that all have', {}, HELD, ['host-network web']],
      ['without packet sockets', SILENT, HELD, []],
      ['without any capability', { CapDrop: ['all'] }, HELD, []],
      ['with them again', { CapDrop: ['ALL'], CapAdd: ['NET_RAW'] }, HELD, ['host-network web']],
      ['with NET_ADMIN', { ...SILENT, CapAdd: ['NET_ADMIN'] }, HELD, ['netadmin-on-host web']],
      ['not yet', SILENT, { ...HELD, held: new Set<string>() }, ['host-network web']],
      [
        'not, by its group',
        SILENT,
        { ...HELD, unheld: new Map([['a'.repeat(64), 'its process has ended']]) },
        ['host-network web'],
      ],
      [
        'not, by its host',
        SILENT,
        { ...HELD, problem: 'the host has no pure cgroup v2' },
        ['host-network web'],
      ],
    ])('%s', (_title, host, hostNetwork, found) => {
      expect(judge({ containers: [agent(host)], hostNetwork })).toEqual(found)
    })

    const advice = (host: Record<string, unknown>, mounts: readonly Record<string, unknown>[] = []) =>
      unprotected({
        containers: [{ ...agent({ ...SILENT, ...host }), Mounts: mounts }],
        hostNetwork: HELD,
      }).find(({ reason }) => reason === 'host-network')?.advice
    const bind = (Source: string, RW: boolean) => [{ Type: 'bind', Source, Destination: '/x', RW }]
    const UNFILTERED = { SecurityOpt: ['seccomp=unconfined'] }

    test.each([
      ['control groups to write to', {}, bind('/sys/fs/cgroup', true)],
      ['what lies above them', {}, bind('/sys', true)],
      ['some of them', {}, bind('/sys/fs/cgroup/system.slice/', true)],
      ['control groups to read and any system call', UNFILTERED, bind('/sys/fs/cgroup', false)],
      ['the view of the host and any system call', { ...UNFILTERED, CgroupnsMode: 'host' }, []],
      ['the processes of the host', { PidMode: 'host' }, []],
      ['mounts', { CapAdd: ['SYS_ADMIN'] }, []],
      ['all', { Privileged: true }, []],
      ['what the host runs', {}, bind('/etc/systemd', true)],
    ])('who can leave its control group is named: %s', (_title, host, mounts) => {
      expect(advice(host, mounts)).toMatch(/may leave the control group that holds it: /)
    })

    test.each([
      ['control groups to read', {}, bind('/sys/fs/cgroup', false)],
      ['the view of the host', { CgroupnsMode: 'host' }, []],
      ['any system call', UNFILTERED, []],
      ['the processes of another container', { PidMode: 'container:x' }, []],
      ['a neighbour of the control groups', {}, bind('/sys/fs/cgroup2', true)],
    ])('who cannot is not: %s', (_title, host, mounts) => {
      expect(advice(host, mounts)).toBeUndefined()
    })
  })
})
