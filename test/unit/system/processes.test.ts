import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { argvOf, rootsProcessesNamed, thisProcess } from '../../../src/system/processes.ts'

const ROOT = 'Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n'

test('processes are found by their short name; one that vanishes while it is read is none', async () => {
  const proc = await mkdtemp(join(tmpdir(), 'proc-'))
  try {
    const add = async (pid: number, comm: string) => {
      await mkdir(join(proc, `${pid}`, 'ns'), { recursive: true })
      await writeFile(join(proc, `${pid}`, 'comm'), `${comm}\n`)
      await writeFile(join(proc, `${pid}`, 'status'), ROOT)
      await writeFile(join(proc, `${pid}`, 'cmdline'), [comm, '--dns', '198.51.100.1', ''].join('\0'))
      await symlink('pid:[7]', join(proc, `${pid}`, 'ns', 'pid'))
    }
    await add(10, 'dockerd')
    await writeFile(join(proc, '10', 'cgroup'), '0::/system.slice/docker.service\n')
    await add(11, 'nginx')
    await add(12, 'dockerd')
    await mkdir(join(proc, 'net'))
    expect(await rootsProcessesNamed('dockerd', proc)).toEqual([
      {
        pid: 10,
        comm: 'dockerd',
        isRoots: true,
        cgroup: '0::/system.slice/docker.service\n',
        pidNamespace: 'pid:[7]',
      },
    ])
    expect(await argvOf(10, proc)).toEqual(['dockerd', '--dns', '198.51.100.1'])
  } finally {
    await rm(proc, { recursive: true })
  }
})

test('a process whose namespace may not be looked at is placed by its numbers', async () => {
  const proc = await mkdtemp(join(tmpdir(), 'proc-'))
  try {
    const add = async (pid: string, numbers: string) => {
      await mkdir(join(proc, pid, 'ns'), { recursive: true })
      await writeFile(join(proc, pid, 'comm'), 'dockerd\n')
      await writeFile(join(proc, pid, 'cgroup'), '0::/\n')
      await writeFile(join(proc, pid, 'status'), `${ROOT}NSpid:\t${numbers}\nNSpgid:\t${numbers}\n`)
    }
    await add('self', '99')
    await symlink('pid:[7]', join(proc, 'self', 'ns', 'pid'))
    await add('10', '10')
    await add('11', '11\t1')
    const found = await rootsProcessesNamed('dockerd', proc)
    expect(found.map(({ pid, pidNamespace }) => [pid, pidNamespace])).toEqual([[10, 'pid:[7]']])
    await add('self', '99\t4')
    expect(await rootsProcessesNamed('dockerd', proc)).toEqual([])
  } finally {
    await rm(proc, { recursive: true })
  }
})

test.each([
  ['of a user', 1000, '1000\t1000\t1000\t1000', '0\t0\t0\t0'],
  ['a setuid program, started by a user', 0, '1000\t0\t0\t0', '1000\t1000\t1000\t1000'],
  ['one that gave itself root as real user too', 0, '0\t0\t0\t0', '1000\t1000\t1000\t1000'],
])('a process that is not all root is none: %s', async (_what, owner, uids, gids) => {
  const proc = await mkdtemp(join(tmpdir(), 'proc-'))
  try {
    await mkdir(join(proc, '10', 'ns'), { recursive: true })
    await symlink('pid:[7]', join(proc, '10', 'ns', 'pid'))
    await writeFile(join(proc, '10', 'comm'), 'dockerd\n')
    await writeFile(join(proc, '10', 'cgroup'), '0::/\n')
    const status = (uid: string, gid: string) =>
      writeFile(join(proc, '10', 'status'), `Uid:\t${uid}\nGid:\t${gid}\n`)
    await status('0\t0\t0\t0', '0\t0\t0\t0')
    expect(await rootsProcessesNamed('dockerd', proc)).toHaveLength(1)
    await status(uids, gids)
    await chown(join(proc, '10'), owner, owner)
    expect(await rootsProcessesNamed('dockerd', proc)).toEqual([])
  } finally {
    await rm(proc, { recursive: true })
  }
})

test('this process is among those of its name on the real /proc', async () => {
  const self = await thisProcess()
  expect(self.pidNamespace).toMatch(/^pid:\[\d+\]$/)
  expect(self.cgroup).not.toBe('')
})
