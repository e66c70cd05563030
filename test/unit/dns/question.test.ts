import { decode } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { wireName } from '../../../src/dns/name.ts'
import { encodeQuestion } from '../../../src/dns/question.ts'
import type { Hostname } from '../../../src/net/types.ts'

const name = 'api.example.com' as Hostname

describe('a question', () => {
  test.each([true, false])('is what another implementation reads (extended DNS: %s)', (edns) => {
    const read = decode(
      encodeQuestion({ name: wireName(name), type: 28, dnssecOk: false, checkingDisabled: false }, edns),
    )
    expect(read).toMatchObject({
      type: 'query',
      flag_rd: true,
      questions: [{ type: 'AAAA', class: 'IN' }],
    })
    expect(read.questions?.[0]?.name.toLowerCase()).toBe(name)
    expect(read.additionals?.map(({ type }) => type)).toEqual(edns ? ['OPT'] : [])
  })

  test.each(['a..b', `${'x'.repeat(64)}.com`, `${'abcdefgh.'.repeat(29)}com`, 'a b.com', 'ä.com'])(
    'cannot be made of %j',
    (text) => expect(() => wireName(text as Hostname)).toThrow(RangeError),
  )
})
