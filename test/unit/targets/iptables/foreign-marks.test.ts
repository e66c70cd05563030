import { expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import { markWords } from '../../../../src/dataplane/foreign-mark.ts'
import { foreignMarks } from '../../../../src/targets/iptables/foreign-marks.ts'
import { parseSave } from '../../../../src/targets/iptables/parse.ts'

const saved = (chain: string, rule: string, table = 'mangle') => ({
  4: parseSave(`*${table}\n:${chain} ACCEPT [0:0]\n[0:0] -A ${chain} ${rule}\nCOMMIT\n`, 4),
})

test.each<[what: string, rule: string]>([
  ['saves whole marks', '-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff'],
  ['saves whole marks, told without masks', '-p udp -j CONNMARK --save-mark'],
  ['saves bits of ours', '-j CONNMARK --save-mark --nfmask 0xff00 --ctmask 0xff00'],
  ['sets whole marks', '-i eth0 -j CONNMARK --set-xmark 0x1/0xffffffff'],
  ['says something harmless beside', '-m comment --comment "-m mark --mark 0x1" -j CONNMARK --save-mark'],
  ['flips bits of ours', '-j CONNMARK --set-xmark 0x80000000/0x0'],
  ['narrows by a mask', '-m mark --mark 0x10/0x10 -j CONNMARK --save-mark'],
])('is named: a rule that %s', (_, rule) => {
  const found = foreignMarks(saved('POSTROUTING', rule), DEFAULT_MARKS)
  expect(found).toEqual([{ of: 'connections', family: 4, table: 'mangle', chain: 'POSTROUTING', text: rule }])
  expect(markWords(found, DEFAULT_MARKS)).toContain(`IPv4 mangle POSTROUTING: ${rule}`)
})

test.each<[what: string, rule: string]>([
  ['sets whole marks', '-i eth0 -j MARK --set-xmark 0x1/0xffffffff'],
  ['clears bits of ours', '-j MARK --set-xmark 0x0/0x20000000'],
  ['restores whole marks', '-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff'],
])('is named where it stands behind our marks: a rule that %s', (_, rule) => {
  const found = foreignMarks(saved('FORWARD', rule, 'filter'), DEFAULT_MARKS)
  expect(found).toEqual([{ of: 'packets', family: 4, table: 'filter', chain: 'FORWARD', text: rule }])
  expect(markWords(found, DEFAULT_MARKS)).toContain(`packets' marks that embargod uses (0x20000ff8)`)
  expect(foreignMarks(saved('FORWARD', rule), DEFAULT_MARKS)).toEqual([])
})

test('other bits are named where ours lie elsewhere', () => {
  const vpn = saved('ts-forward', '-i tailscale0 -j MARK --set-xmark 0x40000/0xff0000', 'filter')
  expect(foreignMarks(vpn, DEFAULT_MARKS)).toEqual([])
  expect(foreignMarks(vpn, { ...DEFAULT_MARKS, rights: 0x1ff000 })).toHaveLength(1)
})

test.each<[what: string, chain: string, rule: string]>([
  [
    'a VPN that saves its own bits',
    'POSTROUTING',
    '-j CONNMARK --save-mark --nfmask 0xff0000 --ctmask 0xff0000',
  ],
  ['WireGuard, about its own packets', 'POSTROUTING', '-p udp -m mark --mark 0xca6c -j CONNMARK --save-mark'],
  ['a rule that restores marks', 'PREROUTING', '-j CONNMARK --restore-mark'],
  ['marks of packets', 'PREROUTING', '-j MARK --set-xmark 0x1/0xffffffff'],
  ['what the host itself sends', 'OUTPUT', '-j CONNMARK --save-mark'],
  ['our own', 'EMBARGOD-OK', '-j CONNMARK --set-xmark 0x1000000/0xff000000'],
])('is let be: %s', (_, chain, rule) => {
  expect(foreignMarks(saved(chain, rule), DEFAULT_MARKS)).toEqual([])
})
