import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConntrackDriver, parseFlows } from '../../../../src/targets/conntrack/driver.ts'
import type { Run } from '../../../../src/system/exec.ts'
import { FakeKernel } from '../../../support/fake-kernel.ts'

describe('connections', () => {
  test.each([
    [
      'TCP behind NAT',
      'tcp      6 431999 ESTABLISHED src=172.18.0.5 dst=203.0.113.10 sport=40000 dport=443 src=203.0.113.10 dst=198.51.100.2 sport=443 dport=40000 [ASSURED] mark=33554432 use=1',
      { protocol: 'tcp', source: '172.18.0.5', destination: '203.0.113.10', port: 443, mark: 33_554_432 },
    ],
    [
      'redirected by DNAT',
      'udp      17 29 src=172.18.0.5 dst=169.254.169.254 sport=40000 dport=53 [UNREPLIED] src=10.0.0.7 dst=172.18.0.5 sport=5353 dport=40000 mark=0 use=1',
      { protocol: 'udp', destination: '10.0.0.7', port: 5353, mark: 0 },
    ],
    [
      'ICMP',
      'icmp     1 29 src=172.18.0.5 dst=203.0.113.10 type=8 code=0 id=7 src=203.0.113.10 dst=198.51.100.2 type=0 code=0 id=7 mark=0 use=1',
      { protocol: 'icmp', port: undefined },
    ],
    [
      'IPv6',
      'tcp      6 5 ESTABLISHED src=fd00:18::5 dst=2001:db8::10 sport=40000 dport=443 src=2001:db8::10 dst=fd00:18::5 sport=443 dport=40000 mark=0 use=1',
      { source: 'fd00:18::5', destination: '2001:db8::10' },
    ],
  ])('%s', (_, line, expected) => expect(parseFlows(`${line}\n`)).toMatchObject([expected]))

  test('of any kind are read back, and any text is read without harm', () => {
    const flow = fc.record({
      protocol: fc.constantFrom('tcp', 'udp', 'icmp', 'icmpv6', 'sctp', 'unknown'),
      source: fc.oneof(fc.ipV4(), fc.ipV6()),
      destination: fc.oneof(fc.ipV4(), fc.ipV6()),
      port: fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }),
      mark: fc.nat(0xffffffff),
    })
    fc.assert(
      fc.property(fc.array(flow), (flows) => {
        const lines = flows.map(({ protocol, source, destination, port, mark }) => {
          const [there, back] =
            port === undefined ? ['', ''] : [` sport=4 dport=${port}`, ` sport=${port} dport=4`]
          return `${protocol} 6 9 src=${source} dst=192.0.2.9${there} src=${destination} dst=${source}${back} mark=${mark} use=1\n`
        })
        expect(parseFlows(lines.join(''))).toEqual(flows)
      }),
    )
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseFlows(text)))
  })

  test('lines that are no connections are passed over', () => {
    expect(parseFlows('\nconntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.\n')).toEqual([])
  })

  test.each([
    ['that ends while it is forgotten is no trouble', 2, true],
    ['of which ever another one ends are one', 99, false],
  ])('one %s', async (_, times, isGood) => {
    let calls = 0
    const run: Run = async (argv) => {
      const isGone = argv.includes('ipv4') && ++calls <= times
      const stderr = isGone
        ? "conntrack v1.4.7 (conntrack-tools): Operation failed: such conntrack doesn't exist\n"
        : 'conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n'
      return { stdout: '', stderr, exitCode: 1 }
    }
    const deleting = new ConntrackDriver(run).deleteMarked(0x1000000, 0xff000000)
    if (isGood) await deleting
    else await expect(deleting).rejects.toThrow("such conntrack doesn't exist")
    expect(calls).toBe(isGood ? 3 : 5)
  })

  test('of which one cannot be read are an error, and not one less', async () => {
    const kernel = new FakeKernel()
    kernel.connections[4] = ['tcp 6 9 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2 mark=0 use=1']
    await expect(new ConntrackDriver(kernel.run).flows(4)).rejects.toThrow('one of them cannot be read')
  })

  test('of one generation are forgotten, and no others', async () => {
    const kernel = new FakeKernel()
    const line = (mark: number) =>
      `tcp 6 9 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2 src=2.2.2.2 dst=1.1.1.1 sport=2 dport=1 mark=${mark} use=1`
    kernel.connections[4] = [line(0), line(0x02000007), line(0x03000007), line(0xff000000)]
    const driver = new ConntrackDriver(kernel.run)
    await driver.deleteMarked(0xff000000, 0xff000000)
    await driver.deleteMarked(0x02000000, 0xff000000)
    await driver.deleteMarked(0x02000000, 0xff000000)
    expect((await driver.flows(4)).map(({ mark }) => mark)).toEqual([0, 0x03000007])
  })

  test('that cannot be forgotten are an error, though the tool ends as it does when there are none', async () => {
    const kernel = new FakeKernel()
    const run: Run = async (argv, options) =>
      argv[1] === '-D'
        ? { stdout: '', stderr: 'Operation failed: Operation not permitted', exitCode: 1 }
        : kernel.run(argv, options)
    await expect(new ConntrackDriver(run).deleteMarked(1, 1)).rejects.toThrow('not permitted')
  })

  test('that cannot be read are an error, but for IPv6 where it is switched off', async () => {
    const kernel = new FakeKernel()
    const driver = new ConntrackDriver(kernel.run)
    kernel.failNext(/^conntrack -L/, 'Operation failed: Address family not supported by protocol')
    expect(await driver.flows(6)).toEqual([])
    kernel.failNext(/^conntrack -L/, 'Operation failed: Address family not supported by protocol')
    await expect(driver.flows(4)).rejects.toThrow('not supported')
    kernel.failNext(/^conntrack -L/)
    await expect(driver.flows(6)).rejects.toThrow('not permitted')
  })
})
