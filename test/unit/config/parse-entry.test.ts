import { describe, expect, it } from 'vitest'
import { parseEntry } from '../../../src/config/parse-entry.ts'

describe('an entry typed on the command line', () => {
  it('is shorthand or a YAML map', () => {
    expect(parseEntry('api.example.com:443', 'command line')).toEqual({
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
      parseEntry('{ domains: [a.example, b.example], private: true, ports: [5432] }', 'x'),
    ).toMatchObject({
      entries: [
        { target: { name: 'a.example' }, private: true, ports: { text: '5432/tcp' } },
        { target: { name: 'b.example' }, private: true },
      ],
    })
    expect(parseEntry('[2001:db8::1]:443', 'x')).toMatchObject({
      entries: [{ target: { cidr: '2001:db8::1' } }],
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
    expect(parseEntry(text, 'x')).toEqual({
      reasons: expect.arrayContaining([expect.stringContaining(reason)]),
    })
  })
})
