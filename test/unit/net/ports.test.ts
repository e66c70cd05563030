import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isAnyPort, parsePorts } from '../../../src/net/ports.ts'
import type { PortList } from '../../../src/net/types.ts'

const ports = (written: Parameters<typeof parsePorts>[0]): PortList => {
  const parsed = parsePorts(written)
  if ('reason' in parsed) throw new Error(parsed.reason)
  return parsed.ports
}

describe('ports', () => {
  it.each([
    [[443], '443/tcp'],
    [['443'], '443/tcp'],
    [['443/tcp', '80/TCP'], '80/tcp,443/tcp'],
    [['53/udp', '53/tcp'], '53/tcp,53/udp'],
    [['8000-8100/tcp', '8050-8200', '8201'], '8000-8201/tcp'],
    [['8000-8100/tcp', '8102'], '8000-8100/tcp,8102/tcp'],
    [['icmp', 'gre', 'icmp', '22'], '22/tcp,icmp,gre'],
    [['any'], '1-65535/tcp,1-65535/udp'],
    [['any', 'sctp', '80'], '1-65535/tcp,1-65535/udp,sctp'],
    ['80/tcp,443/tcp', '80/tcp,443/tcp'],
  ])('%j are %s', (written, text) => {
    expect(ports(written).text).toBe(text)
  })

  it.each([
    [['0'], 'from 1 to 65535'],
    [[0], 'from 1 to 65535'],
    [['65536/udp'], 'from 1 to 65535'],
    [['90-80/tcp'], 'write 80-90/tcp'],
    [['80/icmp'], 'without ports'],
    [['80/quic'], 'no protocol with ports'],
    [['http'], 'no port'],
    [['-80'], 'no port'],
    [['80-'], 'no port'],
    [[1.5], 'no port'],
    [['0x50'], 'no port'],
    ['', 'no port'],
    [[], 'empty'],
  ])('%j is refused: %s', (written, reason) => {
    const parsed = parsePorts(written)
    expect('reason' in parsed && parsed.reason).toContain(reason)
  })

  it('knows when every port is open', () => {
    expect(isAnyPort(ports('any'))).toBe(true)
    expect(isAnyPort(ports(['1-65535/tcp', '1-40000/udp', '40001-65535/udp', 'icmp']))).toBe(true)
    expect(isAnyPort(ports(['1-65535/tcp']))).toBe(false)
  })

  it('opens exactly the ports that were written, in a text that reads back to itself', () => {
    const range = fc
      .tuple(fc.constantFrom('tcp' as const, 'udp' as const), fc.integer({ min: 1, max: 300 }), fc.nat(40))
      .map(([protocol, from, more]) => ({ protocol, from, to: from + more }))
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 12 }), (ranges) => {
        const list = ports(ranges.map(({ protocol, from, to }) => `${from}-${to}/${protocol}`))
        expect(ports(list.text)).toEqual(list)
        for (const protocol of ['tcp', 'udp'] as const) {
          for (let port = 1; port <= 345; port++) {
            const open = (specs: PortList['specs']): boolean =>
              specs.some((s) => s.protocol === protocol && 'from' in s && s.from <= port && port <= s.to)
            expect(open(list.specs)).toBe(open(ranges))
          }
        }
      }),
      { numRuns: 50 },
    )
  })
})
