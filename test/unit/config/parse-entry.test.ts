import { describe, expect, it } from 'vitest'
import { parseEntry } from '../../../src/config/parse-entry.ts'

describe('an entry typed on the command line', () => {
  it('is shorthand or a YAML map', () => {
    expect(parseEntry('api.example.com:443', 'command line', false)).toEqual({
      entries: [
        {
          target: { kind: 'domain', name: 'api.example.com' },
          ports: { text: '443/tcp', specs: [{ protocol: 'tcp', from: 443, to: 443 }] },
          private: false,
          untilMs: undefined,
          comment: undefined,
          where: 'command line',
        },
      ],
    })
    expect(
      parseEntry('{ domains: [a.example, b.example], private: true, ports: [5432] }', 'x', false),
    ).toMatchObject({
      entries: [
        { target: { name: 'a.example' }, private: true, ports: { text: '5432/tcp' } },
        { target: { name: 'b.example' }, private: true },
      ],
    })
    expect(parseEntry('[2001:db8::1]:443', 'x', false)).toMatchObject({
      entries: [{ target: { cidr: '2001:db8::1' } }],
    })
  })

  it('may be a wildcard where there is a gateway', () => {
    expect(parseEntry('*.Example.com:443', 'x', true)).toMatchObject({
      entries: [
        { target: { kind: 'wildcard', suffix: 'example.com', depth: 'one' }, ports: { text: '443/tcp' } },
      ],
    })
    expect(parseEntry('{ domain: "**.corp.example", private: true }', 'x', true)).toMatchObject({
      entries: [{ target: { suffix: 'corp.example', depth: 'any' }, private: true }],
    })
    expect(parseEntry('*.com', 'x', true)).toEqual({
      reasons: [expect.stringContaining('is a whole top-level domain')],
    })
  })

  it.each([
    ['', 'empty'],
    ['*.example.com', 'a wildcard cannot be allowed'],
    ['169.254.169.254', 'lies in 169.254.0.0/16'],
    ['10.1.2.3/8', 'has bits behind its prefix'],
    ['{ domain: a.example', 'YAML'],
    ['{ domain: a.example, colour: red }', 'unknown key "colour"'],
    ['{ file: /etc/shadow }', 'a list file belongs into the config'],
    ['a.example, b.example', 'only letters'],
    ['a.example\nb.example', 'only letters'],
  ])('%j is refused: %s', (text, reason) => {
    expect(parseEntry(text, 'x', false)).toEqual({
      reasons: expect.arrayContaining([expect.stringContaining(reason)]),
    })
  })
})
