import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { withDns } from '../../../../src/workloads/engine-config/daemon-json.ts'

const ADDRESS = '172.17.0.1'
const written = (text: string | undefined) => withDns(text, [ADDRESS]).text

describe('the line for the gateway', () => {
  test.each([
    ['no file', undefined, '{\n  "dns": ["172.17.0.1"]\n}\n'],
    ['an empty file', ' \n', '{\n  "dns": ["172.17.0.1"]\n}\n'],
    ['an empty object', '{}\n', '{\n  "dns": ["172.17.0.1"]\n}\n'],
    ['one line', '{"a":1}', '{"a":1,"dns":["172.17.0.1"]}'],
    ['one airy line', '{ "a": 1 }\n', '{ "a": 1, "dns": ["172.17.0.1"] }\n'],
    ['a line less airy', '{"a": 1}', '{"a": 1, "dns": ["172.17.0.1"]}'],
    [
      'four spaces',
      '{\n    "a": {"b": [1, "}"]},\n    "c": "x\\"y"\n}\n',
      '{\n    "a": {"b": [1, "}"]},\n    "c": "x\\"y",\n    "dns": ["172.17.0.1"]\n}\n',
    ],
    ['tabs and CRLF', '{\r\n\t"a": true\r\n}', '{\r\n\t"a": true,\r\n\t"dns": ["172.17.0.1"]\r\n}'],
    ['an empty list', '{"dns": [], "a": null}', '{"dns": ["172.17.0.1"], "a": null}'],
    ['a dns of something else', '{"x": {"dns": ["y"]}}', '{"x": {"dns": ["y"]}, "dns": ["172.17.0.1"]}'],
    ['an escaped key', '{"\\u0064ns": ["192.0.2.1"]}', '{"\\u0064ns": ["172.17.0.1"]}'],
  ])('goes into %s', (_title, before, after) => {
    expect(written(before)).toBe(after)
  })

  test('takes the place of another, which is told', () => {
    const text = '{\n  "dns": [\n    "192.0.2.1",\n    "192.0.2.2"\n  ],\n  "bip": "10.0.0.1/24"\n}\n'
    expect(withDns(text, [ADDRESS])).toEqual({
      text: '{\n  "dns": ["172.17.0.1"],\n  "bip": "10.0.0.1/24"\n}\n',
      before: ['192.0.2.1', '192.0.2.2'],
    })
  })

  test('stays as it is where it stands', () => {
    const text = '{"dns" : [ "172.17.0.1" ] }'
    expect(withDns(text, [ADDRESS])).toEqual({ text, before: [ADDRESS] })
  })

  test.each([
    '{',
    '[]',
    '"x"',
    'null',
    '{"a":1,}',
    '{"dns": "192.0.2.1"}',
    '{"dns": [1]}',
    '{"dns":[],"dns":[]}',
  ])('is not written into %s', (text) => expect(() => written(text)).toThrow())

  test('changes nothing else, whatever stands there', () => {
    const texts = fc
      .dictionary(fc.string(), fc.jsonValue())
      .filter((value) => value['dns'] === undefined || value['dns'] === null)
    fc.assert(
      fc.property(texts, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const { dns: _, ...others } = value
        const text = JSON.stringify(others, undefined, indent)
        const after = written(text)
        expect(JSON.parse(after)).toEqual({ ...(JSON.parse(text) as object), dns: [ADDRESS] })
        expect(written(after)).toBe(after)
      }),
    )
  })
})
