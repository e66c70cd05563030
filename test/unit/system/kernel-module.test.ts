import { expect, it } from 'vitest'
import { missingModuleAdvice } from '../../../src/system/kernel-module.ts'

it.each([
  ['modprobe: FATAL: Module ip_set not found in directory /lib/modules/6.1.0', 'ip_set'],
  ["iptables v1.8.9 (legacy): can't initialize iptables table `raw': Table does not exist", 'iptable_raw'],
  [
    "ip6tables v1.8.9 (legacy): can't initialize ip6tables table `filter': Table does not exist",
    'ip6table_filter',
  ],
  ['ipset v7.17: Cannot open session to kernel.', 'ip_set'],
  ['Warning: Extension set revision 4 not supported, missing kernel module?', 'xt_set'],
  ['Warning: Extension NFLOG revision 0 not supported, missing kernel module?', 'xt_NFLOG'],
  ["iptables-restore v1.8.9: Couldn't load match `rpfilter':No such file", 'xt_rpfilter'],
])('%s', (stderr, module) => expect(missingModuleAdvice(stderr)).toContain(`modprobe ${module},`))

it('has no advice for another failure', () =>
  expect(missingModuleAdvice('iptables: Resource temporarily unavailable.')).toBeUndefined())
