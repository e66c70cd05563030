import { describe, expect, test } from 'vitest'
import { ContainerPorts } from '../../../src/host/container-ports.ts'
import type { Address } from '../../../src/net/types.ts'
import type { Assignment, ClassMember } from '../../../src/policy/classes.ts'
import type { HostInterface } from '../../../src/system/host.ts'
import type { Network } from '../../../src/workloads/model.ts'

const ID = 'c1'.repeat(32)
const network: Network = {
  id: 'n1',
  name: 'shop',
  driver: 'bridge',
  bridge: 'br-1',
  subnets: [],
  gateways: [],
  internal: false,
  ipv6: false,
}
const member = (more: Partial<ClassMember> = {}): ClassMember => ({
  container: { id: ID, name: 'web', pid: 4242 },
  networkId: 'n1',
  network: 'shop',
  segments: ['shop'],
  mac: '02:42:ac:12:00:02',
  addresses: ['172.18.0.2' as Address],
  matched: [],
  class: 3,
  ...more,
})
const assignment = (...members: ClassMember[]): Assignment => ({
  unknown: 'deny',
  classes: [],
  members,
  ignoredLabels: 0,
})
const interfaces = (port: string, namespace: number): HostInterface[] => [
  {
    name: 'br-1',
    kind: 'bridge',
    index: 3,
    isBridge: true,
    lower: undefined,
    ports: [{ index: 9, name: port, kind: 'veth', peer: { index: 2, namespace } }],
    addresses: [],
  },
]
/** A host on which each of these processes lives in the namespace of this number. */
const ports = (
  namespaces: Readonly<Record<number, number>>,
  files: Readonly<Record<string, string>> = { '/proc/4242/cgroup': `0::/docker/${ID}\n` },
) =>
  new ContainerPorts(
    async (pids) =>
      new Map(
        pids.flatMap((pid): [number, number][] => {
          const namespace = namespaces[pid]
          return namespace === undefined ? [] : [[pid, namespace]]
        }),
      ),
    async (path) => files[path],
  )

test('a container has its port, hardware address and address', async () => {
  expect(await ports({ 4242: 7 }).bindings(assignment(member()), [network], interfaces('veth1', 7))).toEqual([
    { port: 'veth1', mac: '02:42:ac:12:00:02', address: '172.18.0.2', class: 3 },
  ])
})

test.each([
  ['its process is gone', ports({}), member()],
  [
    'its process is somebody else by now',
    ports({ 4242: 7 }, { '/proc/4242/cgroup': '0::/docker/c2c2c2\n' }),
    member(),
  ],
  ['nobody says whose process it is', ports({ 4242: 7 }, {}), member()],
  ['it does not run', ports({ 4242: 7 }), member({ container: { id: ID, name: 'web', pid: undefined } })],
  ['the engine told no hardware address', ports({ 4242: 7 }), member({ mac: undefined })],
  ['there was no number left for its rights', ports({ 4242: 7 }), member({ class: undefined })],
])('nothing is bound when %s', async (_, all, one) => {
  expect(await all.bindings(assignment(one), [network], interfaces('veth1', 7))).toEqual([])
})

test('what was made sure is not asked again while the port is there, and is when it is another', async () => {
  const asked: number[] = []
  const all = new ContainerPorts(
    async (pids) => {
      asked.push(...pids)
      return new Map(pids.map((pid) => [pid, 7]))
    },
    async () => `0::/docker/${ID}\n`,
  )
  const bound = async (here: HostInterface[], pid = 4242) =>
    (await all.bindings(assignment(member({ container: { id: ID, name: 'web', pid } })), [network], here))
      .length
  const port = (index: number): HostInterface[] =>
    interfaces('veth1', 7).map((one) => ({ ...one, ports: one.ports.map((some) => ({ ...some, index })) }))
  expect([await bound(port(9)), await bound(port(9))]).toEqual([1, 1])
  expect(asked).toEqual([4242])
  expect([await bound(port(10)), await bound(port(10), 4243)]).toEqual([1, 1])
  expect(asked).toEqual([4242, 4242, 4243])
})

test('who runs and has no port is told of, who is being started is not', async () => {
  const lacks = async (one: ClassMember, here: HostInterface[]) => {
    const all = ports({ 4242: 7 })
    await all.bindings(assignment(one), [network], here)
    return all.lacksSome
  }
  const starting = member({ container: { id: ID, name: 'web', pid: undefined } })
  expect(await lacks(member(), interfaces('veth1', 7))).toBe(false)
  expect(await lacks(member(), interfaces('veth1', 8))).toBe(true)
  expect(await lacks(starting, interfaces('veth1', 8))).toBe(false)
})

test('a question that fails binds nobody, and says so', async () => {
  const all = new ContainerPorts(
    () => Promise.reject(new Error('no such program')),
    async () => undefined,
  )
  expect(await all.bindings(assignment(member()), [network], interfaces('veth1', 7))).toEqual([])
  expect(all.problem).toMatch(/no such program/)
})

describe('a container that is being started', () => {
  const starting = member({ container: { id: ID, name: 'web', pid: undefined } })
  const bound = [{ port: 'veth1', mac: '02:42:ac:12:00:02', address: '172.18.0.2', class: 3 }]

  test.each([
    ['/sys/fs/cgroup/docker/ID'],
    ['/sys/fs/cgroup/unified/docker/ID'],
    ['/sys/fs/cgroup/system.slice/docker-ID.scope'],
    ['/sys/fs/cgroup/pids/docker/ID'],
  ])('has its port by its control group %s', async (group) => {
    const all = ports({ 77: 7 }, { [`${group.replace('ID', ID)}/cgroup.procs`]: '77\n78\n' })
    expect(await all.bindings(assignment(starting), [network], interfaces('veth1', 7))).toEqual(bound)
  })

  test('is found where the last one was', async () => {
    const other = 'd0'.repeat(32)
    const all = ports(
      { 4242: 8, 77: 7 },
      {
        '/proc/4242/cgroup': `12:cpu,cpuacct:/\n3:name=systemd:/kept/${other}\n`,
        [`/sys/fs/cgroup/systemd/kept/${ID}/cgroup.procs`]: '77\n',
      },
    )
    const running = member({ container: { id: other, name: 'db', pid: 4242 } })
    expect(await all.bindings(assignment(running), [network], interfaces('veth0', 8))).toHaveLength(1)
    expect(await all.bindings(assignment(starting), [network], interfaces('veth1', 7))).toEqual(bound)
  })

  test.each([
    ['its group is not there', {}, {}],
    ['its group is empty', {}, { [`/sys/fs/cgroup/docker/${ID}/cgroup.procs`]: '' }],
    ['its process is not in its namespace yet', {}, { [`/sys/fs/cgroup/docker/${ID}/cgroup.procs`]: '77\n' }],
    [
      'its processes are in two',
      { 77: 7, 78: 8 },
      { [`/sys/fs/cgroup/docker/${ID}/cgroup.procs`]: '77\n78\n' },
    ],
  ])('is not bound when %s', async (_, namespaces, files) => {
    const all = ports(namespaces, files)
    expect(await all.bindings(assignment(starting), [network], interfaces('veth1', 7))).toEqual([])
  })

  test('is not looked for while no port is free', async () => {
    const asked: string[] = []
    const all = new ContainerPorts(
      async () => new Map([[4242, 7]]),
      async (path) => {
        asked.push(path)
        return `0::/docker/${'d0'.repeat(32)}`
      },
    )
    const running = member({ container: { id: 'd0'.repeat(32), name: 'db', pid: 4242 } })
    await all.bindings(assignment(running, starting), [network], interfaces('veth1', 7))
    expect(asked).toEqual(['/proc/4242/cgroup'])
  })
})
