import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { ConntrackDriver } from '../../../src/targets/conntrack/driver.ts'
import { IpsetDriver } from '../../../src/targets/ipset/driver.ts'
import { IptablesDriver } from '../../../src/targets/iptables/driver.ts'
import { parseSave, SaveFormatError } from '../../../src/targets/iptables/parse.ts'
import { BackstopDriver } from '../../../src/targets/backstop/driver.ts'
import type { Run } from '../../../src/system/exec.ts'
import { parseLinks } from '../../../src/system/host.ts'
import { TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** A tool whose answer breaks off and that ends well all the same: half an answer is an error, never a smaller firewall. */

const kernel = new FakeKernel()
const SETS = ['embargod-x', 'embargod-y']

beforeAll(async () => {
  const yaml = 'allow: [api.example.com, { cidr: 203.0.113.30, ports: [5432/tcp] }]\n'
  const host = await TestFirewall.start(kernel, { yaml, names: { 'api.example.com': ['203.0.113.10'] } })
  await host.pass()
  for (const set of SETS) {
    kernel.sets.line(`create ${set} hash:net family inet maxelem 9 timeout 60 counters comment`)
    kernel.sets.line(`add ${set} 203.0.113.1 timeout 60 comment "one"`)
    kernel.sets.line(`add ${set} 203.0.113.0/24 timeout 60 comment "two"`)
  }
  kernel.connections[4] = [1, 2, 3].map(
    (port) =>
      `tcp 6 9 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 sport=${port} dport=2 src=2.2.2.2 dst=1.1.1.1 sport=2 dport=1 mark=0 use=1`,
  )
})

/** Programs that match print the first `share` of what they would, and end well. */
function cutting(matches: RegExp, share: number): { run: Run; whole: () => boolean } {
  let whole = true
  const run: Run = async (argv, options) => {
    const result = await kernel.run(argv, options)
    if (!matches.test(argv.join(' '))) return result
    const stdout = result.stdout.slice(0, Math.floor(result.stdout.length * share))
    // A line break at the end is all that a reader can do without.
    if (stdout !== result.stdout) whole = false
    return { ...result, stdout }
  }
  return { run, whole: () => whole }
}

const share = fc.double({ min: 0, max: 1, noNaN: true })

describe('an answer that is cut off anywhere is an error', () => {
  test.each<[string, RegExp, (run: Run) => Promise<unknown>]>([
    ['headers of sets', /^ipset/, (run) => new IpsetDriver(run).headers()],
    ['elements', /^ipset/, (run) => new IpsetDriver(run).elements(SETS)],
    ['elements, one set being gone', /^ipset/, (run) => new IpsetDriver(run).elements(['gone', ...SETS])],
    ['the second guard', /^nft/, (run) => new BackstopDriver(run).read()],
    ['connections', /^conntrack/, (run) => new ConntrackDriver(run).flows(4)],
  ])('%s', (_, matches, read) =>
    fc.assert(
      fc.asyncProperty(share, async (at) => {
        const { run, whole } = cutting(matches, at)
        const answer = await read(run).catch((error: unknown) => error)
        expect(answer instanceof Error).toBe(!whole())
      }),
    ),
  )

  test('a table of rules: refused, but for a cut between two tables', () => {
    const text = kernel.rules[4].save()
    const tables = [...parseSave(text, 4).tables.keys()]
    expect(tables).toEqual(['filter', 'raw'])
    const border = text.indexOf('# Generated', 1)
    for (let at = 1; at < text.length; at++) {
      if (at === border) continue
      expect(() => parseSave(text.slice(0, at), 4), `cut at ${at}`).toThrow(SaveFormatError)
    }
    expect([...parseSave(text.slice(0, border), 4).tables.keys()]).toEqual(['filter'])
  })

  test('a table that was there and is not is asked for again', async () => {
    let cut = false
    const run: Run = async (argv, options) => {
      const result = await kernel.run(argv, options)
      if (!cut || argv[0] !== 'iptables-nft-save') return result
      cut = false
      return { ...result, stdout: result.stdout.slice(0, result.stdout.indexOf('# Generated', 1)) }
    }
    const driver = new IptablesDriver(run, async () => '')
    await driver.read()
    cut = true
    const saved = await driver.read()
    expect([cut, ...saved[4].tables.keys()]).toEqual([false, 'filter', 'raw'])
    // What two answers say is believed.
    kernel.rules[6].tables.delete('raw')
    expect([...(await driver.read())[6].tables.keys()]).toEqual(['filter'])
  })

  test('interfaces', () => {
    const text = JSON.stringify([
      { ifindex: 1, ifname: 'lo' },
      {
        ifindex: 2,
        ifname: 'docker0',
        linkinfo: { info_kind: 'bridge' },
        addr_info: [{ local: '172.17.0.1' }],
      },
    ])
    for (let at = 0; at < text.length; at++) expect(() => parseLinks(text.slice(0, at))).toThrow()
    expect(parseLinks(text)).toHaveLength(2)
  })
})

describe('in a session that ends well a command has failed', () => {
  const complaining =
    (stderr: string): Run =>
    async (argv, options) => ({ ...(await kernel.run(argv, options)), stdout: 'ipset> ipset> ', stderr })

  test.each([
    ['headers', (driver: IpsetDriver) => driver.headers()],
    ['elements', (driver: IpsetDriver) => driver.elements(['embargod-x'])],
    ['questions', (driver: IpsetDriver) => driver.holding([{ set: 'embargod-x', element: '203.0.113.1' }])],
  ])('%s', async (_, read) => {
    const driver = new IpsetDriver(
      complaining('ipset v7.17: Kernel error received: Operation not permitted\n'),
    )
    await expect(read(driver)).rejects.toThrow('Operation not permitted')
  })

  test('a set that is gone hides none that is asked for behind it', async () => {
    const elements = await new IpsetDriver(kernel.run).elements(['gone', 'embargod-x', 'lost', 'embargod-y'])
    expect([...elements.keys()]).toEqual(SETS)
  })
})
