import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseEntry } from '../../../src/config/parse-entry.ts'
import { readList } from '../../../src/config/list-file.ts'
import { makeSource } from '../../../src/config/source.ts'
import { readYaml } from '../../../src/config/yaml.ts'
import { parseNameServer } from '../../../src/config/values.ts'
import { parseFlows } from '../../../src/targets/conntrack/driver.ts'
import { parseElements, parseHeaders } from '../../../src/targets/ipset/parse.ts'
import { parseSave } from '../../../src/targets/iptables/parse.ts'
import { readRule } from '../../../src/targets/iptables/read-rule.ts'
import { parseBackstop } from '../../../src/targets/backstop/parse.ts'
import { parseBindings } from '../../../src/targets/bindings/driver.ts'
import { parseHostNetwork } from '../../../src/targets/host-network/driver.ts'
import { concernsUs, partOf } from '../../../src/targets/nftables/monitor.ts'
import { prettyLine } from '../../../src/observe/pretty.ts'
import { sanitise, sanitiseJson } from '../../../src/observe/sanitise.ts'
import { nameServersIn } from '../../../src/resolve/host-servers.ts'
import { parseLinks } from '../../../src/system/host.ts'
import { dnsOfDaemonJson, withDns } from '../../../src/workloads/engine-config/daemon-json.ts'
import { engineResolvConf } from '../../../src/workloads/resolvers/engine-resolv-conf.ts'
import { EventLines } from '../../../src/workloads/docker/event-lines.ts'
import { parseNetwork } from '../../../src/workloads/inventory.ts'
import { parseAddressLine, parseLinkLine } from '../../../src/workloads/link-watcher.ts'
import { parseSubnet } from '../../../src/workloads/subnet.ts'
import { growthOf, repeated } from '../../support/hostile.ts'

/** Whatever somebody writes, to read twice as much takes about twice as long: nobody keeps the one thread busy with a small file. */

const RUNS = 60
/** To make a document of a text takes long. */
const RUNS_OF = new Map([['a config', 12]])

test.each<[string, readonly string[], (text: string) => unknown]>([
  [
    "a container's resolv.conf",
    ['nameserver 127.0.0.11', 'nameserver', '#', '# ExtServers: [', 'host(', ')', ']', '\r'],
    (text) => engineResolvConf('/x', async (path) => (path.endsWith('.hash') ? 'sha256:0' : text)),
  ],
  ['resolv.conf', ['nameserver ', 'nameserver', '#', ';', '198.51.100.1', 'fe80::1%eth0'], nameServersIn],
  ['a server', ['[', ']', ':', '::', '.', '%', '198.51.100.1', 'tls://', '#'], parseNameServer],
  [
    'events',
    ['{"Type":"', '","Action":"', '{', '}', ':', 'exec_start:'],
    (text) => new EventLines().push(text),
  ],
  [
    'events in small pieces',
    ['{"Type":"', '","Action":"', '{', '}', ':'],
    (text) => {
      const lines = new EventLines()
      for (const letter of text) lines.push(letter)
    },
  ],
  [
    'a subnet and a gateway',
    ['/', '1/', '::', ':', '.', '0x', '[', '172.18.0.0/16', 'fd00::/64'],
    (text) => {
      parseSubnet(text)
      parseNetwork({
        Id: text,
        Name: text,
        Driver: 'bridge',
        IPAM: { Config: [{ Subnet: text, Gateway: text }] },
      })
    },
  ],
  [
    'daemon.json',
    ['{', '}', '[', ']', '"dns"', ':', ',', '{"a":', '"\\\\"', '['],
    (text) =>
      Promise.all(
        [text, `{"a":${JSON.stringify(text)},"b":[1]}`].flatMap((json) => [
          quietly(dnsOfDaemonJson, json),
          quietly((one) => withDns(one, ['198.51.100.1']), json),
        ]),
      ),
  ],
  ['connections', ['src=', 'dst=1.1.1.1', 'sport=1', '=', 'tcp ', 'mark=', '_'], parseFlows],
  [
    'headers of sets',
    ['ipset> ', 'Name: x', 'Type: hash:ip', 'Header: family inet ', 'References: 0', '\n\n', ': '],
    (text) => parseHeaders(`ipset> ${text}ipset> `),
  ],
  [
    'elements of sets',
    ['ipset> ', 'create x ', 'add x ', ' comment "', '"', 'timeout 1', 'add '],
    (text) => parseElements(`create x y\n${text}`, 1),
  ],
  [
    'a table of rules',
    [
      '*filter\n',
      ':FORWARD ',
      '[0:0] -A FORWARD ',
      '--comment "',
      '[common',
      ' deadbeef]',
      '-j ',
      'COMMIT\n',
    ],
    (text) => {
      parseSave(`*filter\n:FORWARD ACCEPT\n[1:1] -A FORWARD ${text.replaceAll('\n', ' ')}\nCOMMIT\n`, 4)
      parseSave(text, 6)
    },
  ],
  ['a rule', ['--comment "', '--dports 1,2', '! ', '-m ', '-p tcp', '-j ', '--mark 1/1'], readRule],
  [
    'the second guard',
    [
      'iifname { ',
      'iif "',
      ' } return',
      '" return',
      'comment "',
      '[deadbeef]',
      ' drop',
      'counter packets 1 ',
    ],
    (text) => parseBackstop(`${text}\n}\n`),
  ],
  [
    'bindings',
    ['{"nftables":[', '{"set":', '{}', ',', ']', '"elem":['],
    (text) => parseBindings(`${text}]}`, `${text}]}`),
  ],
  ['marks of the host network', ['{"nftables":[', '{"map":', ',', '[', ']'], parseHostNetwork],
  [
    'a line of nft monitor',
    ['add rule ip filter ', 'delete table ', 'EMBARGOD', 'FORWARD', ' ip '],
    (text) => [concernsUs(text), partOf(text), concernsUs(`add rule ${text}`)],
  ],
  [
    'a line of ip monitor',
    [
      'Deleted ',
      '7: ',
      '@',
      ': <',
      '>',
      ' qdisc x',
      ' master ',
      'link-netnsid 1',
      ',LOWER_UP',
      '<',
      ' inet ',
      ':',
    ],
    (text) => {
      const line = text.replaceAll('\n', '')
      return [line, `7: veth0: <UP> qdisc x ${line} link-netnsid 3`, `7: veth0 ${line}`].map((one) => [
        parseLinkLine(one),
        parseAddressLine(one),
      ])
    },
  ],
  [
    'interfaces',
    ['[', '{"ifname":"a","ifindex":1}', ',', '{}', ']', '{"addr_info":['],
    (text) => parseLinks(`[${text}]`),
  ],
  [
    'a config',
    ['- ', '[', ']', '{', '}', '? ', '&a ', '*a', '!!x ', ': ', 'k: ', '#', '|', '---\n', "'"],
    (text) => readYaml(makeSource('f', text)),
  ],
  [
    'a list of names',
    ['a.example', '*.', '..', '-', '#', '/', ':', '[', 'xn--'],
    (text) => readList(makeSource('list', text)),
  ],
  [
    'an entry',
    ['a.example', '*.', '.', '-', ':', '/', '[', '443', 'xn--', 'ü'],
    (text) => parseEntry(text, 'here', true),
  ],
  [
    'a name for a terminal',
    ['\x1b[', '\u202e', '\ud800', '{', '}', ':', ','],
    (text) => [
      sanitise(text),
      sanitiseJson(text),
      prettyLine(JSON.stringify({ msg: text, [text]: text }), true),
    ],
  ],
])('%s', (what, words, read) =>
  fc.assert(
    fc.asyncProperty(repeated(words), async (pattern) => {
      expect(await growthOf(pattern, (text) => quietly(read, text))).toBeUndefined()
    }),
    { numRuns: RUNS_OF.get(what) ?? RUNS, seed: 7 },
  ),
)

/** What is no such thing may be refused, but not by running out of stack. */
async function quietly(read: (text: string) => unknown, text: string): Promise<void> {
  try {
    await read(text)
  } catch (error) {
    if (!(error instanceof Error) || error instanceof RangeError) throw error
  }
}
