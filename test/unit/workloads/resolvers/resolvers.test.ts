import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  chooseConfigFile,
  enginesBehind,
  type EngineMarks,
  parseDockerdArgv,
  servesSocket,
  visibleDockerds,
} from '../../../../src/workloads/engine-config/dockerd-process.ts'
import { RefusedFileError } from '../../../../src/system/read-file.ts'
import { parseInventory } from '../../../../src/workloads/inventory.ts'
import {
  type KnownSources,
  containerResolvers,
  serversOf as addressesOf,
} from '../../../../src/workloads/resolvers/resolvers.ts'
import { containerJson, defaultBridgeJson } from '../../../support/docker-json.ts'

const ID = 'a'.repeat(64)
const RESOLV_CONF = `/var/lib/docker/containers/${ID}/resolv.conf`
const SOCKET = '/var/run/docker.sock'

const hashed = (text: string) => ({
  [RESOLV_CONF]: text,
  [`${RESOLV_CONF}.hash`]: `sha256:${createHash('sha256').update(text).digest('hex')}`,
})

const read = async (files: Record<string, string | Error>, path: string) => {
  const content = files[path]
  if (content instanceof Error) throw content
  return content
}
const NOT_KNOWN = { listener: undefined, inPidFile: undefined }

const ask = ({
  host = ['198.51.100.1'],
  files = {},
  argvs = [],
  container = {},
  network = {},
  version = '20.10.24',
  known = { files: new Map() },
}: {
  known?: KnownSources
  host?: string[] | Error
  files?: Record<string, string | Error>
  argvs?: string[][]
  container?: Record<string, unknown>
  network?: Record<string, unknown>
  version?: string | undefined
}) =>
  containerResolvers(
    parseInventory({
      networks: [defaultBridgeJson(network)],
      containers: [containerJson({ id: ID, ...container })],
    }).value,
    {
      hostNameServers: () => (host instanceof Error ? Promise.reject(host) : Promise.resolve(host)),
      engineNameServers: () => (host instanceof Error ? Promise.reject(host) : Promise.resolve(host)),
      engineVersion: version,
      readConfig: (path) => read(files, path),
      readWritten: (path) => read(files, path),
      dockerds: async () => enginesBehind(argvs.map(parseDockerdArgv), SOCKET, NOT_KNOWN),
      written: new WeakMap(),
      known,
    },
  )
const serversOf = async (facts: Parameters<typeof ask>[0]) => addressesOf((await ask(facts)).resolvers)

describe('whom containers may ask', () => {
  test('the servers of the host, of daemon.json and of the command line, each once, with who named it', async () => {
    const { resolvers, problems } = await ask({
      host: ['198.51.100.1', '2001:db8::53'],
      files: { '/etc/docker/daemon.json': '{"dns":["198.51.100.2","198.51.100.1"]}' },
      argvs: [['dockerd', '-H', 'fd://', '--dns', '198.51.100.3']],
    })
    expect(Object.fromEntries(resolvers.map(({ server, origin }) => [server, origin]))).toEqual({
      '198.51.100.1': 'host',
      '2001:db8::53': 'host',
      '198.51.100.2': 'daemon.json',
      '198.51.100.3': 'dockerd --dns',
    })
    expect(problems).toEqual([])
  })

  test('a source that can no longer be read keeps what it named, and is a problem', async () => {
    const known: KnownSources = { files: new Map() }
    const argvs = [['dockerd', '--dns', '198.51.100.3']]
    const path = '/etc/docker/daemon.json'
    const before = await ask({ known, argvs, files: { [path]: '{"dns":["198.51.100.2"]}' } })
    const after = await ask({
      known,
      argvs,
      host: new Error('no answer'),
      files: { [path]: new Error('others than root can write it') },
    })
    expect(after.resolvers).toEqual(before.resolvers)
    expect(after.problems).toHaveLength(2)
    // That it names none any more is an answer.
    expect((await ask({ known, files: { [path]: '{}' } })).resolvers).toHaveLength(1)
  })

  test('an engine of another socket, and its config file, have no say', async () => {
    const argvs = [
      [
        'dockerd',
        '-H',
        'unix:///srv/other.sock',
        '--dns',
        '203.0.113.9',
        '--config-file',
        '/srv/daemon.json',
      ],
    ]
    expect(await serversOf({ argvs, files: { '/srv/daemon.json': '{"dns":["203.0.113.8"]}' } })).toEqual([
      '198.51.100.1',
    ])
  })

  test('the config file that our engine was started with is read, the default one is not', async () => {
    const files = {
      '/srv/daemon.json': '{"dns":["198.51.100.8"]}',
      '/etc/docker/daemon.json': '{"dns":["203.0.113.8"]}',
    }
    expect(await serversOf({ files, argvs: [['dockerd', '--config-file=/srv/daemon.json']] })).toEqual([
      '198.51.100.1',
      '198.51.100.8',
    ])
  })

  test('loopback servers are left out: the engine asks those itself', async () => {
    expect(await serversOf({ host: ['127.0.0.1', '198.51.100.1', '::1'] })).toEqual(['198.51.100.1'])
  })

  test('what cannot be read is told, and takes nothing from the others', async () => {
    const { resolvers, problems } = await ask({
      host: new Error('no permission'),
      files: { '/etc/docker/daemon.json': '{"dns":' },
      argvs: [['dockerd', '--dns', '198.51.100.3']],
    })
    expect(addressesOf(resolvers)).toEqual(['198.51.100.3'])
    expect(problems).toEqual([
      "reading the host's name servers: no permission",
      expect.stringContaining('reading /etc/docker/daemon.json: '),
    ])
  })
})

describe("the engine's default servers", () => {
  test('stand in when the host has only loopback ones', async () => {
    expect(await serversOf({ host: ['127.0.0.1'] })).toEqual(['8.8.8.8', '8.8.4.4'])
  })
  test('in IPv6 too where a network has it', async () => {
    expect(await serversOf({ host: [], network: { EnableIPv6: true } })).toContain('2001:4860:4860::8888')
  })
  test.each([
    [
      'the engine was given servers',
      { host: ['127.0.0.1'], files: { '/etc/docker/daemon.json': '{"dns":["198.51.100.2"]}' } },
    ],
    ['the host could not be read', { host: new Error('no permission') }],
  ])('do not when %s', async (_title, facts) => {
    expect(await serversOf(facts)).not.toContain('8.8.8.8')
  })
})

describe('the resolv.conf that the engine wrote', () => {
  test('names servers, those behind the embedded one as well', async () => {
    const text =
      "# Generated by Docker Engine.\nnameserver 127.0.0.11\nsearch example.net\noptions ndots:0\n\n# Based on host file: '/etc/resolv.conf' (internal resolver)\n# ExtServers: [198.51.100.7 host(127.0.0.53) host(198.51.100.8)]\n# Overrides: []\n"
    expect(await serversOf({ files: hashed(text) })).toEqual(['198.51.100.1', '198.51.100.7', '198.51.100.8'])
  })

  test('does not count once the container has written to it', async () => {
    const files = { ...hashed('nameserver 198.51.100.7\n'), [RESOLV_CONF]: 'nameserver 203.0.113.66\n' }
    expect(await serversOf({ files })).toEqual(['198.51.100.1'])
    expect(await serversOf({ files: { [RESOLV_CONF]: 'nameserver 203.0.113.66\n' } })).toEqual([
      '198.51.100.1',
    ])
  })

  test('of a kind that the engine does not write is no trouble of ours', async () => {
    const files = { ...hashed('nameserver 198.51.100.7\n'), [RESOLV_CONF]: new RefusedFileError('too large') }
    expect(await ask({ files })).toMatchObject({ resolvers: [{ server: '198.51.100.1' }], problems: [] })
    const failing = { ...files, [RESOLV_CONF]: new Error('no permission') }
    expect((await ask({ files: failing })).problems).toHaveLength(1)
  })

  test('does not count for a container with a --dns of its own, nor for a stopped one', async () => {
    const files = hashed('nameserver 203.0.113.66\n')
    expect(await serversOf({ files, container: { host: { Dns: ['203.0.113.66'] } } })).toEqual([
      '198.51.100.1',
    ])
    expect(await serversOf({ files, container: { running: false } })).toEqual(['198.51.100.1'])
  })
})

describe('processes that look like the engine', () => {
  const dockerd = { isRoots: true, cgroup: '0::/system.slice/docker.service\n', pidNamespace: 'pid:[1]' }
  const ours = { cgroup: '0::/system.slice/embargod.service\n', pidNamespace: 'pid:[1]' }

  test('the engine itself', () => {
    expect(visibleDockerds([dockerd], ours)).toEqual([dockerd])
    const argv = ['/usr/bin/dockerd', '--dns=198.51.100.3', '-Hfd://', '--dns', '198.51.100.4']
    expect(parseDockerdArgv(argv, 7)).toEqual({
      pid: 7,
      hosts: ['fd://'],
      dns: ['198.51.100.3', '198.51.100.4'],
      configFile: undefined,
    })
  })

  test.each([
    ['in a container', { cgroup: `0::/system.slice/docker-${ID}.scope\n` }],
    ['in a container of the cgroupfs driver', { cgroup: `9:name=systemd:/\n8:pids:/docker/${ID}\n` }],
    ['in another PID namespace', { pidNamespace: 'pid:[2]' }],
    ['of somebody else than root', { isRoots: false }],
  ])('one %s has no say', (_title, facts) => {
    expect(visibleDockerds([{ ...dockerd, ...facts }], ours)).toEqual([])
  })

  test('our own container, where this daemon runs in one, is no mark against the engine beside it', () => {
    const inside = { ...ours, cgroup: `0::/outer/${ID}/embargod\n` }
    expect(visibleDockerds([{ ...dockerd, cgroup: `0::/outer/${ID}/docker\n` }], inside)).toHaveLength(1)
  })

  test('of several that say they serve the socket it is the one that does', () => {
    const [first, second, third] = [
      parseDockerdArgv(['dockerd', '--dns', '198.51.100.3'], 3),
      parseDockerdArgv(['dockerd', '-H', 'fd://'], 5),
      parseDockerdArgv(['dockerd', '-H', 'unix:///srv/other.sock'], 7),
    ]
    const pidsOf = (marks: Partial<EngineMarks>) =>
      enginesBehind([first, second, third], SOCKET, { ...NOT_KNOWN, ...marks }).map(({ pid }) => pid)
    expect(pidsOf({})).toEqual([3, 5])
    expect(pidsOf({ listener: 5 })).toEqual([5])
    // What it was told of its sockets may stand in its config file.
    expect(pidsOf({ listener: 7, inPidFile: 3 })).toEqual([7])
    // The socket that systemd made, and the one of an engine that is not seen.
    for (const listener of [1, 99]) {
      expect(pidsOf({ listener, inPidFile: 5 })).toEqual([5])
      expect(pidsOf({ listener, inPidFile: 7 })).toEqual([3, 5])
      expect(pidsOf({ listener, inPidFile: 98 })).toEqual([3, 5])
    }
  })

  test.each([
    [['dockerd'], '/var/run/docker.sock', true],
    [['dockerd', '-H', 'fd://'], '/run/docker.sock', true],
    [['dockerd', '--host=unix:///run/docker.sock'], '/var/run/docker.sock', true],
    [['dockerd', '-H', 'tcp://127.0.0.1:2375', '-H', 'unix:///tmp/d.sock'], '/tmp/d.sock', true],
    [['dockerd', '-H', 'unix:///tmp/d.sock'], '/run/docker.sock', false],
    [['dockerd', '-H'], '/run/docker.sock', true],
    [['dockerd'], '/tmp/d.sock', false],
  ])('%j serves %s: %s', (words, socket, serves) => {
    expect(servesSocket(parseDockerdArgv(words, 1), socket)).toBe(serves)
  })
})

describe('the config file that is meant', () => {
  const other = ['dockerd', '-H', 'unix:///srv/other.sock', '--config-file', '/srv/other.json']
  test.each([
    ['no engine', [], '/etc/docker/daemon.json'],
    ['one', [['dockerd', '--config-file=/srv/daemon.json']], '/srv/daemon.json'],
    ['one of another socket', [other], '/srv/other.json'],
    ['two, one of the default socket', [other, ['dockerd', '-H', 'fd://']], '/etc/docker/daemon.json'],
  ])('with %s', (_title, argvs, file) => {
    expect(chooseConfigFile(argvs.map(parseDockerdArgv))).toBe(file)
  })

  test('has to be said where there are two', () => {
    const argvs = [other, ['dockerd', '-H', 'unix:///srv/third.sock']]
    expect(() => chooseConfigFile(argvs.map(parseDockerdArgv))).toThrow(
      'choose by --file among /srv/other.json, /etc/docker/daemon.json',
    )
  })
})
