import { expect, test } from 'vitest'
import { problemsIn } from './files.ts'

/** What a config brings about that its words do not say. */
const MATCH = 'match: { container: x }'

test.each([
  [
    `allow: [a.example]\npolicies: { a: { ${MATCH}, inherit: false } }\n`,
    [
      '2:52: note: policy a has inherit: false, so traffic from sources that are not known containers',
      '2:52: note: policy a has inherit: false, so its containers do not reach published ports',
    ],
  ],
  [`guard: { unknown: deny, hostServices: [icmp] }\npolicies: { a: { ${MATCH}, inherit: false } }\n`, []],
  [
    'dns: { denied: zero, port: 53 }\n',
    ['1:16: note: dns.denied has no effect', '1:28: note: dns.port has no effect'],
  ],
  ['dns: { gateway: true, servers: [192.0.2.53] }\n', ['1:32: note: dns.servers has no effect']],
  ['guard: { hostNetwork: true }\ndns: { gateway: true, servers: [192.0.2.53] }\n', []],
  [
    'dns: { servers: [192.0.2.53] }\nnever: [192.0.2.0/24]\n',
    ['1:18: warning: 192.0.2.53 lies in never (192.0.2.0/24)'],
  ],
  [
    'allow: [a.example]\nsmtp: {}\n',
    ['2:7: note: smtp limits mail but allows none: no entry of allow opens 25, 465, 587/tcp'],
  ],
  ['allow: ["a.example:587"]\nsmtp: {}\n', []],
  [
    `allow: ["a.example:587"]\npolicies: { a: { ${MATCH}, smtp: { ports: [25] } } }\n`,
    ['2:49: note: policies.a.smtp limits mail but allows none'],
  ],
  [`allow: []\npolicies: { a: { ${MATCH}, allow: ["b.example:25"], smtp: {} } }\n`, []],
  [
    'policies: { a: { match: { network: host } }, b: { match: { network: web } } }\nguard: { except: [web] }\n',
    [
      '1:25: note: policy a matches the network of the host',
      '1:58: note: policy b matches network web, which is not guarded',
    ],
  ],
  [
    `policies: { a: { ${MATCH}, denyWith: drop }, b: { ${MATCH}, denyWith: reject } }\n`,
    ['1:101: note: a container in several policies has the denyWith of the first of them in the file: a, b'],
  ],
  [
    'dns: { gateway: true }\nallow: ["**.b.example:443", "x.b.example:80", "y.b.example:any"]\n',
    [
      '2:29: note: x.b.example is more specific than **.b.example, so of its ports (443/tcp) only 80/tcp is open to it',
    ],
  ],
])('%j', async (text, expected) => {
  const found = (await problemsIn(text)).filter((line) => !line.includes('ports: any'))
  expect(found).toHaveLength(expected.length)
  for (const [index, line] of expected.entries()) expect(found[index]).toContain(`embargod.yaml:${line}`)
})
