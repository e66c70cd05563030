import { DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import { describe, expect, test } from 'vitest'
import type { DesiredGroups, HostGroup } from '../../../../src/dataplane/model.ts'
import {
  digestOf,
  hostNetworkInSync,
  renderHostNetwork,
} from '../../../../src/targets/host-network/host-network.ts'
import { HostNetworkDriver, parseHostNetwork } from '../../../../src/targets/host-network/driver.ts'
import { HostNetworkKeeper } from '../../../../src/targets/host-network/keeper.ts'
import { ToolError, type Run } from '../../../../src/system/exec.ts'

const SCOPE = 'system.slice/docker-web.scope'
const GROUPS: readonly HostGroup[] = [
  { path: SCOPE, inode: 40, class: 3 },
  { path: 'docker', inode: 7, class: 0 },
  { path: 'system.slice/docker-own.scope', inode: 41, class: undefined },
]

/** What `nft -j list` answers for a table that was written so; a group that is gone is a number. */
function listed(
  text: string,
  { gone = [], hooked = true }: { gone?: readonly string[]; hooked?: boolean } = {},
) {
  const maps = new Map<string, unknown[]>()
  for (const [, name = '', path = '', verdict = ''] of text.matchAll(
    /^add element \S+ \S+ (\w+) \{ "(.*)" : (.*) \}$/gm,
  )) {
    const target = verdict.split(' ')[1]
    const element = [gone.includes(path) ? '4711' : path, target ? { goto: { target } } : { accept: null }]
    maps.set(name, [...(maps.get(name) ?? []), element])
  }
  return JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      ...[...maps].map(([name, elem]) => ({ map: { name, elem } })),
      { chain: { name: 'class-3-10000ff8' } },
      { chain: { name: 'output', ...(hooked ? { hook: 'output', prio: -1 } : {}) } },
      ...[...text.matchAll(/comment "([^"]*)"/g)].map(([, comment]) => ({ rule: { comment } })),
    ],
  })
}

const isInSync = (text: string, groups: readonly HostGroup[]): boolean =>
  hostNetworkInSync(parseHostNetwork(text), groups, DEFAULT_MARKS)

test('the table marks by control group, the deepest first, and forges no mark of who is in none', () => {
  const text = renderHostNetwork(GROUPS, DEFAULT_MARKS)
  expect(text).toMatch(/meta mark and 0x10000000 != 0 meta mark set meta mark and 0xefffffff/)
  expect(text).toMatch(/level 2 vmap @level2[^]*level 1 vmap @level1/)
  expect(text).toContain('meta mark set meta mark and 0xeffff007 or 0x10000018')
  expect(text).toContain(`level2 { "${SCOPE}" : goto class-3-10000ff8 }`)
  expect(text).toContain('level1 { "docker" : goto class-0-10000ff8 }')
  expect(text).toContain('level2 { "system.slice/docker-own.scope" : accept }')
})

test('who has no process any more is known by the connection, and by the group only where that was never judged', () => {
  const text = renderHostNetwork(GROUPS, DEFAULT_MARKS)
  expect(text).toMatch(
    /chain output[^]*skuid != 4294967295 goto groups[^]*ct state established ct direction original ct mark and 0xff000000 != 0 meta mark set meta mark or 0x10000ff8 accept[^]*\n {4}goto groups/,
  )
})

describe('what the kernel holds', () => {
  const text = renderHostNetwork(GROUPS, DEFAULT_MARKS)

  test('once written is in sync', () => {
    expect(isInSync(listed(text), GROUPS)).toBe(true)
    expect(parseHostNetwork(listed(text)).classes.get(SCOPE)).toBe(3)
  })

  test('a group that ended is no change', () => {
    expect(isInSync(listed(text, { gone: [SCOPE] }), GROUPS)).toBe(true)
  })

  test.each([
    ['a chain without its hook', listed(text, { hooked: false })],
    ['a rule less', listed(text.replace(/^.*nobody but.*$/m, ''))],
    ['an element less', listed(text.replace(/^add element .*"docker".*$/m, ''))],
    [
      'an element of another class',
      listed(text.replace('scope" : goto class-3-10000ff8', 'scope" : goto class-0-10000ff8')),
    ],
    [
      'an element more',
      listed(`${text}add element inet x level1 { "user.slice" : goto class-0-10000ff8 }\n`),
    ],
  ])('%s is one', (_, found) => {
    expect(isInSync(found, GROUPS)).toBe(false)
  })

  test('a group made anew under the same name is another one', () => {
    const anew = GROUPS.map((group) => ({ ...group, inode: group.inode + 100 }))
    expect(isInSync(listed(text), anew)).toBe(false)
    expect(digestOf(anew)).not.toBe(digestOf(GROUPS))
    expect(digestOf(GROUPS.toReversed())).toBe(digestOf(GROUPS))
  })
})

/** A kernel that holds what was written last and refuses groups that are gone. */
class Nft {
  text: string | undefined
  writes = 0
  readonly gone = new Set<string>()
  broken = false

  readonly run: Run = async (argv, { input = '' } = {}) => {
    const answer = (stdout: string) => ({ stdout, stderr: '', exitCode: 0 })
    const refuse = (stderr: string): never => {
      throw Object.assign(Object.create(ToolError.prototype), { stderr, message: stderr })
    }
    if (this.broken) refuse('Error: Operation not permitted')
    if (argv[1] === '-j') return answer(listed(this.text ?? refuse('Error: No such file or directory')))
    const lines = input.split('\n')
    const bad = lines.flatMap((line, index) =>
      [...this.gone].some((path) => line.includes(`"${path}"`))
        ? [
            `/dev/stdin:${index + 1}:51-99: Error: cgroupv2 path fails: No such file or directory\n${line}\n^^^`,
          ]
        : [],
    )
    if (bad.length > 0) refuse(bad.join('\n'))
    this.writes += 1
    this.text = input.startsWith('delete') ? undefined : input
    return answer('')
  }
}

async function plan(
  keeper: HostNetworkKeeper,
  hostGroups: DesiredGroups,
  isToLook: boolean,
  marks = DEFAULT_MARKS,
) {
  const desired = { hostGroups, marks }
  await keeper.look(desired, { parts: new Set(isToLook ? (['host-network'] as const) : []) })
  return keeper.plan(desired)
}

async function pass(keeper: HostNetworkKeeper, desired: DesiredGroups, isToLook = false) {
  const change = await plan(keeper, desired, isToLook)
  if (change) await keeper.apply(change, ['after rules'])
  return change
}

const MOVED = { ...DEFAULT_MARKS, rights: 0x1ff00000, hostNetwork: 0x1000 }

test('marks by bits that new rules do not know drop until the rules are written, and whoever is not heard stays held', async () => {
  const nft = new Nft()
  await pass(new HostNetworkKeeper(new HostNetworkDriver(nft.run)), GROUPS)
  for (const keeper of [
    new HostNetworkKeeper(new HostNetworkDriver(nft.run)),
    new HostNetworkKeeper(new HostNetworkDriver(nft.run)),
  ]) {
    // Seen to be in place, or not looked at before.
    await plan(keeper, GROUPS, true)
    for (const desired of [GROUPS, 'kept'] as const) {
      const change = await plan(keeper, desired, false, MOVED)
      expect(change?.first).toMatch(/chain class-3-1ff01000 \{\n +drop comment/)
      expect(change?.first).not.toContain('or 0x301000')
      expect(change?.text).toContain(`"${SCOPE}" : goto class-3-1ff01000`)
      expect(change?.text).toContain('or 0x301000')
      expect(change?.drift).toEqual([])
    }
  }
})

describe('the keeper', () => {
  test('writes what is new, and nothing twice', async () => {
    const nft = new Nft()
    const keeper = new HostNetworkKeeper(new HostNetworkDriver(nft.run))
    await pass(keeper, GROUPS)
    expect(await pass(keeper, GROUPS, true)).toBeUndefined()
    const restarted = new HostNetworkKeeper(new HostNetworkDriver(nft.run))
    expect(await pass(restarted, GROUPS)).toBeUndefined()
    expect(nft.writes).toBe(1)
  })

  test('leaves the table alone while the engine is not heard, and removes it when it is not wanted', async () => {
    const nft = new Nft()
    await pass(new HostNetworkKeeper(new HostNetworkDriver(nft.run)), GROUPS)
    const keeper = new HostNetworkKeeper(new HostNetworkDriver(nft.run))
    expect(await pass(keeper, 'kept', true)).toBeUndefined()
    expect(nft.text).toBeDefined()
    await pass(keeper, undefined)
    expect(nft.text).toBeUndefined()
    expect(await pass(keeper, undefined, true)).toBeUndefined()
  })

  test('a table that somebody deletes is written again, and called drift', async () => {
    const nft = new Nft()
    const keeper = new HostNetworkKeeper(new HostNetworkDriver(nft.run))
    await pass(keeper, GROUPS)
    nft.text = undefined
    expect(await pass(keeper, GROUPS)).toBeUndefined()
    expect(await pass(keeper, GROUPS, true)).toMatchObject({ drift: ['host-network'] })
    expect(nft.text).toBeDefined()
  })

  test('a group that ended on the way there is left out, and the rest is written', async () => {
    const nft = new Nft()
    nft.gone.add(SCOPE)
    const keeper = new HostNetworkKeeper(new HostNetworkDriver(nft.run))
    await pass(keeper, GROUPS)
    expect(keeper.problem).toBeUndefined()
    expect(nft.text).not.toContain(`"${SCOPE}"`)
    expect(nft.text).toContain('"docker" : goto class-0-10000ff8')
  })

  test('says why when it cannot write, and tries again', async () => {
    const nft = new Nft()
    nft.broken = true
    const keeper = new HostNetworkKeeper(new HostNetworkDriver(nft.run))
    await pass(keeper, GROUPS)
    expect(keeper.problem).toContain('not permitted')
    nft.broken = false
    await pass(keeper, GROUPS)
    expect(keeper.problem).toBeUndefined()
    expect(nft.text).toBeDefined()
  })
})
