import { describe, expect, test } from 'vitest'
import { findHostGroups, type GroupFiles } from '../../../src/host/host-groups.ts'
import { ClassNumbers } from '../../../src/policy/class-numbers.ts'
import { assign } from '../../../src/policy/classes.ts'
import { parseInventory } from '../../../src/workloads/inventory.ts'
import { groupPlaceOf } from '../../../src/workloads/host-group.ts'
import { configOf } from '../../support/builders.ts'
import { containerJson } from '../../support/docker-json.ts'

const id = (letter: string): string => letter.repeat(64)
const scope = (letter: string): string => `system.slice/docker-${id(letter)}.scope`
const PURE = { '/sys/fs/cgroup/cgroup.controllers': 1 }

/** A host with these files, and these directories by inode. */
const files = (texts: Record<string, string>, inodes: Record<string, number>): GroupFiles => ({
  readText: async (path) => texts[path],
  inodeOf: async (path) => inodes[path],
  list: async (path) => [
    ...new Set(
      Object.keys(inodes)
        .filter((one) => one.startsWith(`${path.replace(/\/$/, '')}/`))
        .map((one) => one.slice(path.replace(/\/$/, '').length + 1).split('/')[0] ?? ''),
    ),
  ],
})

const on = (letter: string, mode: string, pid: number) =>
  containerJson({
    id: id(letter),
    name: letter,
    State: { Running: true, Pid: pid },
    host: { NetworkMode: mode },
    NetworkSettings: { Networks: {} },
  })
const inventoryOf = (...containers: unknown[]) => parseInventory({ networks: [], containers }).value
const WEB = inventoryOf(on('a', 'host', 11), on('b', `container:${id('a')}`, 12), on('c', 'bridge', 13))
const WEB_FILES = {
  '/proc/11/cgroup': `1:cpu:/\n0::/${scope('a')}/init\n`,
  '/proc/12/cgroup': `0::/${scope('b')}\n`,
}
const WEB_INODES = {
  ...PURE,
  [`/sys/fs/cgroup/${scope('a')}`]: 40,
  [`/sys/fs/cgroup/${scope('b')}`]: 41,
}

test('those on the network of the host have their own groups, and nobody else', async () => {
  const found = await findHostGroups(WEB, undefined, files(WEB_FILES, WEB_INODES))
  expect(found.groups).toEqual([
    { path: scope('a'), inode: 40, class: 0 },
    { path: scope('b'), inode: 41, class: 0 },
  ])
  expect([...found.held]).toEqual([id('a'), id('b')])
})

test('by policy, each has the number of its own rights; without the guard nothing changes', async () => {
  const yaml = 'policies:\n  more: { match: { container: a }, allow: [a.example] }\n'
  const off = assign(await configOf(yaml), WEB, new ClassNumbers())
  expect(off?.members.map(({ container }) => container.name)).not.toContain('b')
  const rights = assign(await configOf(`guard: { hostNetwork: true }\n${yaml}`), WEB, new ClassNumbers())
  const policiesOf = new Map(rights?.classes.map(({ id: number, policies }) => [number, policies]))
  const { groups } = await findHostGroups(WEB, rights, files(WEB_FILES, WEB_INODES))
  expect(groups?.map((group) => policiesOf.get(group.class ?? 0))).toEqual([['common', 'more'], ['common']])
})

test("below the engine's own group who is not known is unknown", async () => {
  const inodes = { ...PURE, '/sys/fs/cgroup/docker': 7, [`/sys/fs/cgroup/docker/${id('a')}`]: 8 }
  const texts = { '/proc/11/cgroup': `0::/docker/${id('a')}\n` }
  const { groups } = await findHostGroups(inventoryOf(on('a', 'host', 11)), undefined, files(texts, inodes))
  expect(groups).toEqual([
    { path: `docker/${id('a')}`, inode: 8, class: 0 },
    { path: 'docker', inode: 7, class: 0 },
  ])
})

test('the group of a container that the engine has not told, or could not tell, is held for unknown', async () => {
  const nested = `a.slice/a-b.slice/docker-${id('d')}.scope`
  const inodes = {
    ...PURE,
    [`/sys/fs/cgroup/${scope('a')}`]: 40,
    [`/sys/fs/cgroup/${scope('c')}`]: 42,
    [`/sys/fs/cgroup/${scope('e')}`]: 43,
    [`/sys/fs/cgroup/${nested}`]: 44,
    [`/sys/fs/cgroup/user.slice/docker-${id('f')}.scope`]: 45,
    '/sys/fs/cgroup/system.slice/ssh.service': 46,
    [`/sys/fs/cgroup/kubepods/${id('f')}`]: 47,
  }
  const inventory = inventoryOf(on('a', 'host', 11), on('c', 'bridge', 13))
  const { groups } = await findHostGroups(inventory, undefined, files(WEB_FILES, inodes))
  expect(groups).toEqual([
    { path: scope('a'), inode: 40, class: 0 },
    { path: scope('e'), inode: 43, class: 0 },
    { path: nested, inode: 44, class: 0 },
  ])
})

test('who was only listed, or has moved his first process, is held by the group of his name', async () => {
  const listed = on('a', 'host', 0)
  const inodes = { ...PURE, [`/sys/fs/cgroup/${scope('a')}`]: 40, [`/sys/fs/cgroup/${scope('b')}`]: 41 }
  const moved = { '/proc/12/cgroup': '0::/system.slice/ssh.service\n' }
  const inventory = inventoryOf(listed, on('b', 'host', 12))
  const found = await findHostGroups(inventory, undefined, files(moved, inodes))
  expect(found.groups).toEqual([
    { path: scope('a'), inode: 40, class: 0 },
    { path: scope('b'), inode: 41, class: 0 },
  ])
  expect([[...found.held], [...found.unheld.keys()]]).toEqual([[id('a')], [id('b')]])
})

test('what is not known stays as it is', async () => {
  expect((await findHostGroups(undefined, undefined, files({}, PURE))).groups).toBeUndefined()
})

describe('who is not held is said', () => {
  test('a host without pure cgroup v2', async () => {
    const { problem, groups } = await findHostGroups(WEB, undefined, files(WEB_FILES, {}))
    expect(problem).toContain('pure cgroup v2')
    expect(groups).toEqual([])
  })

  test.each([
    ['a process that is gone', undefined, 'ended'],
    ['a number that went to somebody else', '0::/user.slice\n', 'not in a group of the name'],
    ['no group of version 2', '4:memory:/x\n', 'no group of cgroup v2'],
    ['a namespace of our own', `0::/../../${scope('a')}\n`, 'cgroup namespace'],
    ['a group that is gone', `0::/${scope('z')}\n`, 'not in a group'],
    ['a name for a rule to break on', `0::/"; drop ${id('a')}\n`, 'cannot stand in a rule'],
  ])('%s', async (_, text, why) => {
    const texts: Record<string, string> = text === undefined ? {} : { '/proc/11/cgroup': text }
    const found = await findHostGroups(inventoryOf(on('a', 'host', 11)), undefined, files(texts, PURE))
    expect(found.unheld.get(id('a'))).toContain(why)
    expect(found.groups).toEqual([])
  })

  test('embargod in a container of its own, which is left alone', async () => {
    const own = { ...WEB_FILES, '/proc/self/cgroup': `0::/${scope('a')}\n` }
    const { groups, unheld } = await findHostGroups(WEB, undefined, files(own, WEB_INODES))
    expect(groups?.[0]).toEqual({ path: scope('a'), inode: 40, class: undefined })
    expect(unheld.get(id('a'))).toContain('embargod itself')
  })
})

test('a group is that of the container, whatever is below it', () => {
  expect(groupPlaceOf(`0::/x.slice/${scope('a')}/sub/deeper\n`, id('a'))).toEqual({
    path: `x.slice/${scope('a')}`,
  })
})
