import { beforeAll, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Lab } from './lab.ts'
import { insertRules } from './rules.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** `cleanup` leaves the host as if the program had never run on it: everything of others stays byte for byte. */
const lab = useLab({ name: 'cleanup' })

const CONFIG = `allow: [allowed.example, 203.0.113.128/28]
smtp: { rate: 5/minute }
denyWith: reject`

let untouched: string
/** Engines from 28 on have rules for each container: it stays from first to last. */
let from: LabContainer

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('tailored', { bridge: 'my-bridge.7' })
  from = await lab().container({ network: 'shop' })
  await foreignRules(lab())
  untouched = await kernel(lab())
})

/** Other people's rules wherever ours go, sets and tables with names near ours, and one user of a set. */
async function foreignRules(host: Lab): Promise<void> {
  await host.host(['ipset', 'restore'], {
    input: [
      'create partners hash:net family inet counters comment timeout 0',
      'add partners 192.0.2.0/24 comment "keep me"',
      'create embargo hash:ip family inet6',
      'add embargo 2001:db8::1',
      '',
    ].join('\n'),
  })
  await insertRules(host, 4, 'DOCKER-USER', [
    '-s 192.0.2.1/32 -j RETURN',
    '-m set --match-set partners src -m comment --comment "EMBARGOD is not in my comment" -j RETURN',
  ])
  for (const family of [4, 6] as const) {
    await insertRules(host, family, 'FORWARD', ['-p tcp -m tcp --dport 1 -j DROP'])
    await insertRules(host, family, 'INPUT', ['-i lo -j ACCEPT', '-p tcp -m tcp --dport 2 -j DROP'])
  }
  await host.host(['iptables', '-N', 'MY-EMBARGOD'])
  await host.host(['iptables', '-t', 'raw', '-A', 'PREROUTING', '-p', 'udp', '--dport', '3', '-j', 'NOTRACK'])
  await host.host(['ip6tables', '-t', 'raw', '-A', 'PREROUTING', '-p', 'udp', '--dport', '3', '-j', 'DROP'])
  await host.host(['nft', '-f', '-'], {
    input: 'table inet embargo { chain forward { type filter hook forward priority 11; counter; }; }\n',
  })
}

/** All that the kernel's tools tell, without counters and without the empty tables that reading makes. */
async function kernel(host: Lab): Promise<string> {
  const save = async (tool: string): Promise<string> => {
    const tables = ['filter', 'nat', 'raw', 'mangle', 'security']
    const texts = await Promise.all(tables.map((table) => host.host([tool, '-t', table])))
    return texts
      .map(({ stdout }) => stdout)
      .join('')
      .replaceAll(/^#.*\n/gm, '')
      .replaceAll(/\[\d+:\d+\]/g, '')
  }
  const nft = (await host.host(['nft', 'list', 'ruleset'])).stdout.replaceAll(
    /counter packets \d+ bytes \d+/g,
    'counter',
  )
  const ipset = (await host.host(['ipset', 'list'])).stdout.replaceAll(
    /timeout [1-9]\d*|packets \d+ bytes \d+/g,
    '',
  )
  return [await save('iptables-save'), await save('ip6tables-save'), nft, ipset].join('\n---\n')
}

/** The backstop's twin belongs to the daemon and ends with it. */
function withoutTwin(state: string): string {
  const twin = /^table inet embargod-held \{[^]*?\n\}\n/m
  expect(state).toMatch(twin)
  return state.replace(twin, '')
}

test('the host without us reads the same twice', async () => {
  expect(await kernel(lab())).toBe(untouched)
  expect(untouched).toContain('MY-EMBARGOD')
  expect(untouched).toContain('table inet embargo {')
})

test('cleanup on an untouched host does nothing', async () => {
  await lab().embargod.writeConfig(CONFIG)
  const { code, stdout } = await lab().cli(['cleanup', '--yes', '--config', lab().embargod.configFile])
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'nothing of ours was there\n' })
  expect(await kernel(lab())).toBe(untouched)
})

test('it refuses without a yes, and while the daemon runs; then it takes all of ours and nothing else', async () => {
  const config = ['--config', lab().embargod.configFile]
  const daemon = await lab().daemon({ config: CONFIG })
  expect((await fetchPage(from, 'http://203.0.113.66/', { timeoutMs: 2000 })).code).not.toBe(0)
  const guarded = await kernel(lab())
  expect(guarded).not.toBe(untouched)
  expect(await lab().cli(['cleanup', ...config])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--yes'),
  })
  expect(await lab().cli(['cleanup', '--yes', ...config])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--stop'),
  })
  expect(await kernel(lab())).toBe(guarded)
  await daemon.term()
  expect(await kernel(lab())).toBe(withoutTwin(guarded))
  const { code, stdout, stderr } = await lab().cli(['cleanup', '--yes', ...config])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  for (const word of ['backstop', 'set embargod-common', 'DOCKER-USER', 'IPv6'])
    expect(stdout).toContain(word)
  expect(await kernel(lab())).toBe(untouched)
  expect((await fetchPage(from, 'http://203.0.113.66/')).code).toBe(0)
})

test('--stop ends a running daemon first', async () => {
  const daemon = await lab().daemon({ config: CONFIG })
  const config = ['--config', lab().embargod.configFile]
  expect(await lab().cli(['cleanup', '--stop', '--yes', ...config])).toMatchObject({ code: 0 })
  expect(await daemon.ended).toBe(0)
  expect(await kernel(lab())).toBe(untouched)
  expect((await lab().cli(['status'])).code).toBe(5)
})

test('what a killed daemon left goes too, and a set of ours that somebody else’s rule names is told', async () => {
  const daemon = await lab().daemon({ config: CONFIG })
  const config = ['--config', lab().embargod.configFile]
  const set = /embargod-common-[0-9a-f]+-4/.exec(await kernel(lab()))?.[0] ?? ''
  await daemon.kill()
  const borrowing = ['FORWARD', '-m', 'set', '--match-set', set, 'dst', '-j', 'RETURN'] as const
  await lab().host(['iptables', '-A', ...borrowing])
  const { code, stderr } = await lab().cli(['cleanup', '--yes', ...config])
  expect(code).toBe(1)
  expect(stderr).toContain(set)
  expect((await lab().host(['iptables', '-S', 'FORWARD'])).stdout).toContain(set)
  await lab().host(['iptables', '-D', ...borrowing])
  expect(await lab().cli(['cleanup', '--yes', ...config])).toMatchObject({ code: 0 })
  expect(await kernel(lab())).toBe(untouched)
})
