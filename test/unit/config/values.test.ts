import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCron } from '../../../src/config/cron.ts'
import { formatDuration, parseDuration } from '../../../src/config/duration.ts'
import { nearest } from '../../../src/config/near.ts'
import { parseUntil } from '../../../src/config/until.ts'
import {
  isOneBit,
  parseInterfacePattern,
  parseListen,
  parseRate,
  parseNameServer,
} from '../../../src/config/values.ts'

const refused = expect.objectContaining({ reason: expect.any(String) })

describe('durations', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1h30m', 5_400_000],
    ['0s', 0],
    ['100ms', 100],
    ['1m1s5ms', 61_005],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toEqual({ ms })
  })

  it.each(['', '30', 's', '1.5h', '-1s', '30m1h', '5 m', '1w', '5ms1s', '1H'])('"%s" is none', (text) => {
    expect(parseDuration(text)).toEqual(refused)
  })

  it('are written as they are read', () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), (seconds) => {
        expect(parseDuration(formatDuration(seconds * 1000))).toEqual({ ms: seconds * 1000 })
      }),
    )
  })
})

describe('until', () => {
  it.each([
    ['2027-01-31', Date.UTC(2027, 1, 1)],
    ['2028-02-29', Date.UTC(2028, 2, 1)],
    ['2027-01-31T18:00:00Z', Date.UTC(2027, 0, 31, 18)],
    ['2027-01-31T18:00', Date.UTC(2027, 0, 31, 18)],
    ['2027-01-31 18:00:30', Date.UTC(2027, 0, 31, 18, 0, 30)],
    ['2027-01-31T18:00:00+02:00', Date.UTC(2027, 0, 31, 16)],
    ['2027-01-31T18:00:00-0330', Date.UTC(2027, 0, 31, 21, 30)],
  ])('%s ends in time', (text, untilMs) => {
    expect(parseUntil(text)).toEqual({ untilMs })
  })

  it.each([
    '2027-02-29',
    '2027-13-01',
    '31.1.2027',
    'tomorrow',
    '2027-01-31T25:00',
    '2027-1-1',
    '2027-01-31T18',
  ])('%s is no date', (text) => {
    expect(parseUntil(text)).toEqual(refused)
  })
})

describe('cron', () => {
  it.each(['*/15 * * * *', '*/30 * * * * *', '0 3 * * mon-fri', '0 0 1 1 *', '0 0 31 * *', '0 0 L * *'])(
    '%s fires',
    (text) => {
      expect(parseCron(text)).toEqual({ cron: text })
    },
  )

  it.each([
    ['0 0 31 2 *', 'never fires'],
    ['0 0 31 4,6 *', 'never fires'],
    ['0 0 29 2 *', 'not fire every year'],
    ['0 0 1 1 1', 'not fire every year'],
    ['60 * * * *', 'no cron expression'],
    ['* * * *', 'five fields'],
    ['@daily', 'five fields'],
    ['', 'five fields'],
    ['a b c d e', 'no cron expression'],
  ])('%s is refused: %s', (text, reason) => {
    expect(parseCron(text)).toEqual({ reason: expect.stringContaining(reason) })
  })
})

describe('places on the network', () => {
  it.each([
    ['127.0.0.1:9464', { host: '127.0.0.1', port: 9464 }],
    ['[::1]:9464', { host: '::1', port: 9464 }],
    ['localhost:1', { host: 'localhost', port: 1 }],
    ['0.0.0.0:65535', { host: '0.0.0.0', port: 65535 }],
  ])('listens on %s', (text, place) => {
    expect(parseListen(text)).toEqual(place)
  })

  it.each([
    ':9464',
    '9464',
    '127.0.0.1',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '::1:9464',
    '[127.0.0.1]:1',
    'a.example:1',
    '127.1:80',
  ])('does not listen on %s', (text) => {
    expect(parseListen(text)).toEqual(refused)
  })

  it.each([
    ['9.9.9.9', { kind: 'plain', host: '9.9.9.9', port: 53 }],
    ['9.9.9.9:5353', { kind: 'plain', host: '9.9.9.9', port: 5353 }],
    ['2620:FE::FE', { kind: 'plain', host: '2620:fe::fe', port: 53 }],
    ['[2620:fe:0::fe]:53', { kind: 'plain', host: '2620:fe::fe', port: 53 }],
    ['tls://9.9.9.9#dns.quad9.net', { kind: 'tls', host: '9.9.9.9', port: 853, name: 'dns.quad9.net' }],
    [
      'tls://[2620:fe::fe]:8853#DNS.quad9.net.',
      { kind: 'tls', host: '2620:fe::fe', port: 8853, name: 'dns.quad9.net' },
    ],
  ])('asks %s', (text, server) => {
    expect(parseNameServer(text)).toEqual({ server })
  })

  it.each([
    'dns.example',
    '',
    '010.0.0.1',
    '9.9.9.9:0',
    '9.9.9.9:99999',
    '9.9.9.9:65536',
    '[9.9.9.9]:53',
    'fe80::1%eth0',
    '9.9.9.9:',
  ])('does not ask %s', (text) => {
    expect(parseNameServer(text)).toEqual(refused)
  })

  it.each([
    'tls://',
    'tls://#dns.example.com',
    'tls://9.9.9.9',
    'tls://9.9.9.9#',
    'tls://9.9.9.9#a..b',
    'tls://9.9.9.9#9.9.9.9',
    'tls://9.9.9.9:0#dns.example.com',
    'tls://dns.example.com#dns.example.com',
    'tls://9.9.9.9#dns.example.com#x',
    'TLS://9.9.9.9#dns.example.com',
    'https://9.9.9.9#dns.example.com',
    '9.9.9.9#dns.example.com',
  ])('leads no questions to %s', (text) => {
    expect(parseNameServer(text)).toEqual(refused)
  })
})

describe('rates, names and marks', () => {
  it('takes a count of connections in a unit of time', () => {
    expect(parseRate('5/minute')).toEqual({ rate: { count: 5, per: 'minute' } })
    for (const text of ['5', '0/minute', '5/min', '5 / minute', '20000/second', '5/minutes'])
      expect(parseRate(text)).toEqual(refused)
  })

  it('takes interface names that are no pattern to the kernel tools', () => {
    for (const name of ['virbr0', 'virbr*', 'br-lan.10', 'a'.repeat(15)])
      expect(parseInterfacePattern(name)).toEqual({ name })
    for (const name of ['', '*', 'eth+', 'a b', 'a/b', 'v*r', '.', 'a'.repeat(16), 'br\n']) {
      expect(parseInterfacePattern(name)).toEqual(refused)
    }
  })

  it('takes exactly one of 32 mark bits', () => {
    for (let bit = 0; bit < 32; bit++) expect(isOneBit(2 ** bit)).toBe(true)
    for (const value of [0, 3, -1, 1.5, 2 ** 32, 0xffffffff, Number.NaN, Number.POSITIVE_INFINITY])
      expect(isOneBit(value)).toBe(false)
  })

  it('guesses what a misspelt key was meant to be', () => {
    const keys = ['allow', 'never', 'metadata', 'smtp', 'log', 'state', 'mode']
    expect(nearest('alow', keys)).toBe('allow')
    expect(nearest('nevre', keys)).toBe('never')
    expect(nearest('Metadata', keys)).toBe('metadata')
    expect(nearest('gol', keys)).toBeUndefined()
    expect(nearest('firewall', keys)).toBeUndefined()
  })
})
