import { describe, expect, test } from 'vitest'
import { DEFAULT_MARKS, generationMark } from '../../../src/config/marks.ts'
import { admittedSet, revokedSet } from '../../../src/dataplane/names.ts'
import { dockerRules, planOf, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** A generation that was begun, and whose rules were perhaps not all written. */

const NAMES = { 'api.example.com': ['203.0.113.10'] }
const BEFORE = 'allow: [api.example.com, { cidr: 203.0.113.30, ports: [5432/tcp] }]\n'
const AFTER = 'allow: [api.example.com]\n'

const connection = (
  destination: string,
  { generation = 0, protocol = 'tcp', port = 443 }: { generation?: number; protocol?: string; port?: number },
) => {
  const ports = protocol === 'icmp' ? ['', ''] : [`sport=40000 dport=${port} `, `sport=${port} dport=40000 `]
  const mark = generationMark(DEFAULT_MARKS, generation)
  return `${protocol} 6 431999 src=172.18.0.5 dst=${destination} ${ports[0]}src=${destination} dst=172.18.0.5 ${ports[1]}mark=${mark} use=1`
}

async function settled(yaml = BEFORE) {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const host = await TestFirewall.start(kernel, { yaml, names: NAMES })
  await host.pass()
  return { kernel, host }
}

describe('a pass that fails at a new generation', () => {
  test('is tried again without cutting what its rules have admitted', async () => {
    const { kernel, host } = await settled()
    const begun = host.kept.generation + 1
    await host.reload(AFTER)
    kernel.failNext(/^ipset -exist restore/)
    await expect(host.pass()).rejects.toThrow()
    const admitted = connection('203.0.113.10', { generation: begun })
    kernel.connections[4] = [admitted]
    await host.pass()
    expect(host.kept).toMatchObject({ generation: begun })
    expect(host.kept.former).toBeUndefined()
    expect(kernel.connections[4]).toEqual([admitted])
  })

  test('gives its number to no other policy', async () => {
    const { kernel, host } = await settled()
    const { generation } = host.kept
    await host.reload(AFTER)
    kernel.failNext(/^ipset -exist restore/)
    await expect(host.pass()).rejects.toThrow()
    await host.reload('allow: [{ cidr: 203.0.113.99, ports: [443] }]\n')
    await host.pass()
    expect(host.kept).toMatchObject({ generation: generation + 2 })
  })
})

test('a process that is killed before its rules stand tells the next one which do', async () => {
  const { kernel, host } = await settled()
  const { generation } = host.kept
  await host.reload(AFTER)
  kernel.breakAtWrite(1, 'killed')
  await expect(host.pass()).rejects.toThrow()
  kernel.revive()
  const next = await TestFirewall.start(kernel, { yaml: AFTER, names: NAMES }, host.kept)
  const taken: string[] = []
  kernel.meanwhile = async (command) => {
    if (/tables.*restore/.test(command)) taken.push(kernel.backstop ?? '')
  }
  await next.pass()
  expect(taken.length).toBeGreaterThan(0)
  for (const one of [generation, generation + 1, generation + 2])
    expect(taken[0]).toContain(`admitted in generation ${one}`)
  expect(kernel.backstop).not.toContain(`admitted in generation ${generation} `)
  expect(next.kept).toMatchObject({ generation: generation + 2 })
})

test('a flow to another container is forgotten when its right goes, whatever its protocol', async () => {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const plan = planOf([
    { bridge: 'docker0', subnets: ['172.18.0.0/16' as never] },
    { bridge: 'br-0123456789ab', subnets: ['10.9.0.0/16' as never] },
  ])
  const yaml = 'allow: [{ cidr: 10.9.0.7, ports: any, private: true }]\n'
  const host = await TestFirewall.start(kernel, { yaml, names: {}, plan })
  await host.pass()
  const { generation } = host.kept
  const flows = [
    connection('10.9.0.7', { generation, protocol: 'icmp' }),
    connection('10.9.0.7', { generation, protocol: 'udp', port: 9 }),
  ]
  const other = connection('203.0.113.10', { generation, protocol: 'icmp' })
  kernel.connections[4] = [...flows, other]
  await host.reload('allow: []\n')
  kernel.failNext(/^conntrack -D .*-s /)
  await host.pass()
  expect(host.unforgotten).toBeInstanceOf(Error)
  // What the kernel refused is done by the next pass.
  await host.pass()
  expect(host.unforgotten).toBeUndefined()
  expect(kernel.connections[4]).toEqual([other])
  expect([...kernel.sets.set(revokedSet(4)).elements.keys()]).toEqual(['172.18.0.5,udp:9,10.9.0.7'])
})

test('who is admitted stays so for as long as connections are listed when a right ends', async () => {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const endMs = kernel.nowMs + 60_000
  const yaml = `allow: [api.example.com, { cidr: 203.0.113.30, ports: [5432/tcp], until: '${new Date(endMs).toISOString()}' }]\n`
  const host = await TestFirewall.start(kernel, { yaml, names: NAMES })
  await host.pass()
  kernel.nowMs = endMs + 500
  let left = 0
  kernel.meanwhile = async (command) => {
    if (!command.startsWith('conntrack -L')) return
    kernel.nowMs += 5_000
    left = kernel.sets.set(admittedSet(4)).elements.size
  }
  await host.reload(yaml)
  await host.pass()
  expect(left).toBeGreaterThan(0)
})

test('a right that is yet to end lasts no longer because rights change shortly before', async () => {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const endMs = kernel.nowMs + 60_000
  const entry = `{ cidr: 203.0.113.30, ports: [5432/tcp], until: '${new Date(endMs).toISOString()}' }`
  const host = await TestFirewall.start(kernel, {
    yaml: `allow: [api.example.com, ${entry}]\n`,
    names: NAMES,
  })
  await host.pass()
  kernel.nowMs = endMs - 10_000
  await host.reload(`allow: [${entry}]\n`)
  await host.pass()
  expect(kernel.sets.holds(admittedSet(4), '203.0.113.30')).toBe(true)
  // The process is gone.
  kernel.nowMs = endMs + 3_000
  expect(kernel.sets.holds(admittedSet(4), '203.0.113.30')).toBe(false)
})
