import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseHostname } from '../../../src/net/hostname.ts'

describe('names', () => {
  it.each([
    ['API.Stripe.com', 'api.stripe.com'],
    ['api.stripe.com.', 'api.stripe.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['faß.example', 'xn--fa-hia.example'],
    ['_sip._tcp.example.com', '_sip._tcp.example.com'],
    ['a_b.example', 'a_b.example'],
    ['r3---sn.example.com', 'r3---sn.example.com'],
    ['1.2.3.4.example', '1.2.3.4.example'],
  ])('%s is %s', (text, canonical) => {
    expect(parseHostname(text)).toEqual({ hostname: canonical })
  })

  it.each([
    ['1.2.3.4', 'is an address'],
    ['2001:db8::1', 'is an address'],
    ['127.1', 'reads as an address'],
    ['0x7f.1', 'reads as an address'],
    ['a.0x7f', 'reads as an address'],
    ['010.0.0.1', 'reads as an address'],
    ['１２７.０.０.１', 'reads as an address'],
    ['a..b', 'empty label'],
    ['.example', 'empty label'],
    ['.', 'empty'],
    ['', 'empty'],
    ['-x.example', 'hyphen'],
    ['x-.example', 'hyphen'],
    ['localhost', 'single label'],
    ['*', 'wildcard'],
    ['*.com', 'wildcard'],
    ['a/b.example', 'only letters'],
    ['a b.example', 'only letters'],
    ['a.example\n', 'only letters'],
    ['evil\u202e.example', 'only letters'],
    ['xn--a.example', 'IDNA'],
  ])('%s is refused: %s', (text, reason) => {
    const parsed = parseHostname(text)
    expect('reason' in parsed && parsed.reason).toContain(reason)
  })

  it('lets nothing through that DNS or a terminal could stumble over, and reads back what it wrote', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string({ unit: 'binary' }), fc.webAuthority()), (text) => {
        const parsed = parseHostname(text)
        if ('reason' in parsed) return
        expect(parsed.hostname).toMatch(/^(?=.{3,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$/)
        expect(parseHostname(parsed.hostname)).toEqual(parsed)
      }),
    )
    const domain = fc.domain().filter((name) => !name.includes('xn--'))
    fc.assert(
      fc.property(domain, (name) => {
        expect(parseHostname(name)).toHaveProperty('hostname')
      }),
    )
  })

  it('keeps to the lengths of DNS', () => {
    const label = 'a'.repeat(63)
    expect(parseHostname(`${label}.example`)).toEqual({ hostname: `${label}.example` })
    const longest = [label, label, label, 'a'.repeat(61)].join('.')
    expect(parseHostname(longest)).toEqual({ hostname: longest })
    for (const tooLong of [
      `a${label}.example`,
      `a${longest}`,
      `${'a.'.repeat(150)}example`,
      'a'.repeat(5000),
    ]) {
      expect(parseHostname(tooLong)).toHaveProperty('reason')
    }
  })
})
