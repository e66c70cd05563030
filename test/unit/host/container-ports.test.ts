import { expect, test } from 'vitest'
import { ContainerPorts } from '../../../src/host/container-ports.ts'
import type { Address } from '../../../src/net/types.ts'
import type { Assignment, Member } from '../../../src/policy/classes.ts'
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
const member = (more: Partial<Member> = {}): Member => ({
  container: { id: ID, name: 'web', pid: 4242 },
  networkId: 'n1',
  network: 'shop',
  mac: '02:42:ac:12:00:02',
  addresses: ['172.18.0.2' as Address],
  matched: [],
  class: 3,
  ...more,
})
const assignment = (...members: Member[]): Assignment => ({
  unknown: 'deny',
  classes: [],
  members,
  ignoredLabels: 0,
})
const interfaces = (port: string, namespace: number): HostInterface[] => [
  {
    name: 'br-1',
    kind: 'bridge',
    isBridge: true,
    ports: [{ name: port, kind: 'veth', peer: { index: 2, namespace } }],
    addresses: [],
  },
]
/** A host on which each of these processes lives in the namespace of this number. */
const ports = (
  namespaces: Readonly<Record<number, number>>,
  cgroup: string | undefined = `0::/docker/${ID}\n`,
  complete = true,
) =>
  new ContainerPorts(
    async (_argv, options) => {
      const asked = (options?.input?.toString() ?? '').split('\n').filter(Boolean).map(Number)
      const lines = asked.flatMap((pid) => (pid in namespaces ? [`${pid} ${namespaces[pid]}\n`] : []))
      return { stdout: `${lines.join('')}${complete ? 'end\n' : ''}`, stderr: '', exitCode: 0 }
    },
    async () => cgroup,
  )

test('a container has its port, hardware address and address', async () => {
  expect(await ports({ 4242: 7 }).bindings(assignment(member()), [network], interfaces('veth1', 7))).toEqual([
    { port: 'veth1', mac: '02:42:ac:12:00:02', address: '172.18.0.2', mark: 0x60 },
  ])
})

test.each([
  ['its process is gone', ports({}), member()],
  ['its process is somebody else by now', ports({ 4242: 7 }, '0::/docker/c2c2c2\n'), member()],
  ['nobody says whose process it is', ports({ 4242: 7 }, ''), member()],
  ['it does not run', ports({ 4242: 7 }), member({ container: { id: ID, name: 'web', pid: undefined } })],
  ['the engine told no hardware address', ports({ 4242: 7 }), member({ mac: undefined })],
  ['there was no number left for its rights', ports({ 4242: 7 }), member({ class: undefined })],
])('nothing is bound when %s', async (_, all, one) => {
  expect(await all.bindings(assignment(one), [network], interfaces('veth1', 7))).toEqual([])
})

test('an answer that is cut off binds nobody, and says so', async () => {
  const all = ports({ 4242: 7 }, undefined, false)
  expect(await all.bindings(assignment(member()), [network], interfaces('veth1', 7))).toEqual([])
  expect(all.problem).toMatch(/cut off/)
})
