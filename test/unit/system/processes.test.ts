import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { processesNamed, thisProcess } from '../../../src/system/processes.ts'

test('processes are found by their short name; one that vanishes while it is read is none', async () => {
  const proc = await mkdtemp(join(tmpdir(), 'proc-'))
  try {
    const add = async (pid: number, comm: string) => {
      await mkdir(join(proc, `${pid}`, 'ns'), { recursive: true })
      await writeFile(join(proc, `${pid}`, 'comm'), `${comm}\n`)
      await writeFile(join(proc, `${pid}`, 'cmdline'), [comm, '--dns', '198.51.100.1', ''].join('\0'))
      await symlink('pid:[7]', join(proc, `${pid}`, 'ns', 'pid'))
    }
    await add(10, 'dockerd')
    await writeFile(join(proc, '10', 'cgroup'), '0::/system.slice/docker.service\n')
    await add(11, 'nginx')
    await add(12, 'dockerd')
    await mkdir(join(proc, 'net'))
    expect(await processesNamed('dockerd', proc)).toEqual([
      {
        pid: 10,
        comm: 'dockerd',
        argv: ['dockerd', '--dns', '198.51.100.1'],
        cgroup: '0::/system.slice/docker.service\n',
        pidNamespace: 'pid:[7]',
      },
    ])
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
      await writeFile(join(proc, pid, 'cmdline'), 'dockerd\0')
      await writeFile(join(proc, pid, 'cgroup'), '0::/\n')
      await writeFile(join(proc, pid, 'status'), `Name:\tdockerd\nNSpid:\t${numbers}\nNSpgid:\t${numbers}\n`)
    }
    await add('self', '99')
    await symlink('pid:[7]', join(proc, 'self', 'ns', 'pid'))
    await add('10', '10')
    await add('11', '11\t1')
    const found = await processesNamed('dockerd', proc)
    expect(found.map(({ pid, pidNamespace }) => [pid, pidNamespace])).toEqual([[10, 'pid:[7]']])
    await add('self', '99\t4')
    expect(await processesNamed('dockerd', proc)).toEqual([])
  } finally {
    await rm(proc, { recursive: true })
  }
})

test('this process is among those of its name on the real /proc', async () => {
  const self = await thisProcess()
  expect(self.pidNamespace).toMatch(/^pid:\[\d+\]$/)
  expect(self.cgroup).not.toBe('')
})
