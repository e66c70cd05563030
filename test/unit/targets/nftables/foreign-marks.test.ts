import { expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import { markWords } from '../../../../src/dataplane/foreign-mark.ts'
import { nftForeignMarks } from '../../../../src/targets/nftables/foreign-marks.ts'

const chain = (rule: string, hook = 'prerouting priority mangle', table = 'inet vpn'): string =>
  `table ${table} {\n\tset s {\n\t\ttype ipv4_addr\n\t}\n\n\tchain pre {\n\t\ttype filter hook ${hook}; policy accept;\n\t\t${rule}\n\t}\n}\n`

test.each<[what: string, rule: string, hook?: string]>([
  ['saves whole marks', 'ct mark set meta mark'],
  ['saves its own bits and clears ours', 'ct state new ct mark set meta mark & 0x00ff0000'],
  ['sets a whole mark', 'udp dport 22 ct mark set 0x00000f41 comment "all of it"'],
  ['clears bits of ours', 'ct mark set ct mark & 0x00ffffff'],
  ['sets bits of ours', 'ct mark set ct mark and 0xffffffff or 0x00000010'],
  ['restores whole marks behind ours', 'meta mark set ct mark', 'forward priority filter'],
  ['takes the approval', 'meta mark set meta mark & 0xdfffffff', 'forward priority filter + 5'],
])('is named: a rule that %s', (_, rule, hook) => {
  const found = nftForeignMarks(chain(rule, hook), DEFAULT_MARKS)
  expect(found).toHaveLength(1)
  expect(markWords(found, DEFAULT_MARKS)).toContain(`nft inet vpn pre: ${rule.replace(/ comment.*/, '')}`)
})

test.each<[what: string, rule: string, hook?: string, table?: string]>([
  ['a VPN that saves its own bits', 'ct mark set ct mark & 0xff00ffff | 0x00040000'],
  [
    'a VPN that restores them ahead of ours',
    'ct state established,related meta mark set ct mark & 0x00ff0000',
  ],
  ['what sets packets behind the second guard', 'meta mark set 0x00000001', 'forward priority security'],
  ['what sets other bits', 'meta mark set meta mark | 0x00002000', 'forward priority filter'],
  ['WireGuard, about its own packets', 'meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark'],
  ['what the host itself sends', 'ct mark set meta mark', 'output priority mangle'],
  ['tables of iptables, read elsewhere', 'ct mark set meta mark', 'postrouting priority mangle', 'ip mangle'],
  ['our own', 'ct mark set ct mark & 0x00ffffff', 'forward priority -5', 'inet embargod-verify'],
  ['what only looks', 'ct mark 0x00000001 accept'],
])('is let be: %s', (_, rule, hook, table) => {
  expect(nftForeignMarks(chain(rule, hook, table), DEFAULT_MARKS)).toEqual([])
})
