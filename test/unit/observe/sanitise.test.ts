import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sanitise, sanitiseJson } from '../../../src/observe/sanitise.ts'

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u
const anyText = fc.string({ unit: 'binary' })

describe('sanitise', () => {
  it.each([
    ['plain name', 'plain name'],
    ['bücher-日本', 'bücher-日本'],
    ['\x1b[31mred', '\\x1b[31mred'],
    ['a\nb', 'a\\x0ab'],
    ['\x9b31m', '\\x9b31m'],
    ['safe\u202egpj.exe', 'safe\\u{202e}gpj.exe'],
    ['\u2066x\u2069', '\\u{2066}x\\u{2069}'],
    ['tag\u{e0041}', 'tag\\u{e0041}'],
    ['\ud800', '\\u{d800}'],
  ])('%j is shown as %j', (hostile, shown) => expect(sanitise(hostile)).toBe(shown))

  it('leaves nothing unsafe in any text', () =>
    fc.assert(fc.property(anyText, (hostile) => !UNSAFE.test(sanitise(hostile)))))

  it('keeps JSON readable as the original', () =>
    fc.assert(
      fc.property(anyText, (hostile) => {
        const line = sanitiseJson(JSON.stringify({ hostile }))
        return !UNSAFE.test(line) && (JSON.parse(line) as { hostile: string }).hostile === hostile
      }),
    ))
})
