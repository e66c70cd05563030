import { expect, test } from 'vitest'
import { defaultGateway4, defaultGateway6 } from '../../../src/workloads/default-route.ts'

/** As a kernel printed them in containers of several networks. */
const ROUTE = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t010015AC\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t00000000\t010014AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000014AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t00000000\t010015AC\t0003\t0\t0\t0\t00000080\t0\t0\t0
`
const ZERO = '0'.repeat(32)
const ROUTE6 = `fd000d0c000100000000000000000000 40 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001     eth0
${ZERO} 00 ${ZERO} 00 fd000d0c000100000000000000000001 00000400 00000001 00000000 00000003     eth0
${ZERO} 00 ${ZERO} 00 ${ZERO} ffffffff 00000001 00000000 00200200       lo
`

test('the gateway of the default route with the least metric', () => {
  expect(defaultGateway4(ROUTE)).toBe('172.20.0.1')
  expect(defaultGateway6(ROUTE6)).toBe('fd00:d0c:1::1')
})

test.each([
  '',
  'Iface\tDestination\n',
  'eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\n',
  'nonsense '.repeat(9),
])('none in %j', (text) => {
  expect([defaultGateway4(text), defaultGateway6(text)]).toEqual([undefined, undefined])
})
