import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { isAlive } from './box.ts'
import { Lab } from './lab.ts'
import { cgroupOf, directoryOf, findLabs, removeStaleLabs, takeDown } from './leftovers.ts'

/** What there still is of a lab on this machine, in words. */
function remains(name: string, namespaces: readonly string[]): string[] {
  const found: string[] = []
  if (existsSync(directoryOf(name))) found.push('its directory')
  for (const controller of readdirSync('/sys/fs/cgroup')) {
    if (existsSync(join('/sys/fs/cgroup', controller, cgroupOf(name)))) found.push(`cgroup ${controller}`)
  }
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (namespaces.includes(readlinkSync(`/proc/${pid}/ns/net`))) found.push(`process ${pid}`)
    } catch {
      // Ended meanwhile, or a kernel thread.
    }
  }
  if (readFileSync('/proc/mounts', 'utf8').includes(directoryOf(name))) found.push('a mount')
  return found
}

const namespaceOf = (pid: number): string => readlinkSync(`/proc/${pid}/ns/net`)

/** A process of its own that starts a lab with a container, then does `then`. */
async function labElsewhere(then: string) {
  const script = `
    import { Lab } from ${JSON.stringify(fileURLToPath(new URL('lab.ts', import.meta.url)))}
    const lab = await Lab.start({ name: 'elsewhere' })
    await lab.container()
    ${then}
    console.log(JSON.stringify({ name: lab.name, pids: [lab.hostBox.pid, lab.inetBox.pid] }))
  `
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [line]: unknown[] = await once(child.stdout.setEncoding('utf8'), 'data')
  const { name, pids }: { name: string; pids: number[] } = JSON.parse(String(line))
  return { child, exited, name, pids, namespaces: pids.filter(isAlive).map(namespaceOf) }
}

test('two labs run side by side; stopping one leaves nothing of it and the other untouched', async () => {
  await using first = await Lab.start({ name: 'first' })
  const second = await Lab.start({ name: 'second' })
  const stays = await first.container()
  await second.container()
  const namespaces = [namespaceOf(second.hostBox.pid), namespaceOf(second.inetBox.pid)]
  expect(remains(second.name, namespaces).length).toBeGreaterThan(3)
  await second.stop()
  expect(remains(second.name, namespaces)).toEqual([])
  expect(await stays.exec(['curl', '-sS', 'http://allowed.example/'])).toMatchObject({ code: 0 })
})

test('a lab whose owner was killed ends at once, and the next start sweeps up', async () => {
  const elsewhere = await labElsewhere('setInterval(() => undefined, 1000)')
  expect(elsewhere.namespaces).toHaveLength(2)
  elsewhere.child.kill('SIGKILL')
  await elsewhere.exited
  await expect.poll(() => elsewhere.pids.filter(isAlive), { timeout: 10_000 }).toEqual([])
  expect(removeStaleLabs()).toContain(elsewhere.name)
  expect(remains(elsewhere.name, elsewhere.namespaces)).toEqual([])
})

test('an interrupted run takes its lab down', async () => {
  const elsewhere = await labElsewhere('setInterval(() => undefined, 1000)')
  elsewhere.child.kill('SIGINT')
  await elsewhere.exited
  expect(remains(elsewhere.name, elsewhere.namespaces)).toEqual([])
})

test('a kept lab outlives its owner until it is taken down', async () => {
  const elsewhere = await labElsewhere('lab.keep()')
  elsewhere.child.kill('SIGTERM')
  await elsewhere.exited
  expect(elsewhere.pids.filter(isAlive)).toEqual(elsewhere.pids)
  const found = findLabs().find(({ name }) => name === elsewhere.name)
  expect(found).toMatchObject({ kept: true, stale: false })
  if (found) takeDown(found)
  expect(remains(elsewhere.name, elsewhere.namespaces)).toEqual([])
})
