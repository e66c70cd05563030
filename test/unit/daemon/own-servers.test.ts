import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Config } from '../../../src/config/model.ts'
import { OwnServers } from '../../../src/daemon/own-servers.ts'
import type { NameServer } from '../../../src/dns/name-server.ts'
import { createLogger } from '../../../src/observe/logger.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const plain = (host: string): NameServer => ({ kind: 'plain', host, port: 53 })
const configOf = (...servers: NameServer[]) => ({ resolver: { servers } }) as unknown as Config

function setUp(first: readonly NameServer[] | Error) {
  const lines: { msg: string }[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as { msg: string }) }
  const scene = { host: first, changes: 0, lines, problem: undefined as string | undefined }
  const servers = new OwnServers({
    read: ({ resolver: { servers: named } }) =>
      scene.host instanceof Error
        ? Promise.reject(scene.host)
        : Promise.resolve(named.length > 0 ? named : scene.host),
    log: createLogger({ level: 'info', pretty: false, destination }),
    onState: (problem) => (scene.problem = problem),
  })
  return { scene, servers }
}

test('a reload is no news: who reloads asks by himself', async () => {
  const { scene, servers } = setUp([plain('192.0.2.1')])
  let config = configOf(plain('192.0.2.9'))
  expect(await servers.of(config)).toEqual([plain('192.0.2.9')])
  servers.watch(
    () => config,
    () => (scene.changes += 1),
  )
  config = configOf()
  expect(await servers.of(config)).toEqual([plain('192.0.2.1')])
  await vi.advanceTimersByTimeAsync(20_000)
  expect(scene.changes).toBe(0)
})

test('other ones on the host are told once', async () => {
  const { scene, servers } = setUp([plain('192.0.2.1')])
  await servers.of(configOf())
  servers.watch(configOf, () => (scene.changes += 1))
  await vi.advanceTimersByTimeAsync(20_000)
  expect(scene.changes).toBe(0)
  scene.host = [plain('192.0.2.2')]
  await vi.advanceTimersByTimeAsync(20_000)
  expect(scene.changes).toBe(1)
  expect(await servers.of(configOf())).toEqual([plain('192.0.2.2')])
  servers.stop()
  scene.host = [plain('192.0.2.3')]
  await vi.advanceTimersByTimeAsync(20_000)
  expect(scene.changes).toBe(1)
})

test('nobody is told where the config names them', async () => {
  const { scene, servers } = setUp([plain('192.0.2.1')])
  const config = configOf(plain('192.0.2.9'))
  await servers.of(config)
  servers.watch(
    () => config,
    () => (scene.changes += 1),
  )
  scene.host = [plain('192.0.2.2')]
  await vi.advanceTimersByTimeAsync(20_000)
  expect(scene.changes).toBe(0)
})

test.each([
  ['names none', [], undefined],
  ['cannot be read', new Error('EACCES'), 'those known before are asked: EACCES'],
])('a file that %s changes nothing, and is a problem if it cannot be read', async (_, host, problem) => {
  const { scene, servers } = setUp([plain('192.0.2.1')])
  await servers.of(configOf())
  servers.watch(configOf, () => (scene.changes += 1))
  scene.host = host
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await servers.of(configOf())).toEqual([plain('192.0.2.1')])
  expect(scene.changes).toBe(0)
  expect(scene.lines).toEqual([])
  if (problem === undefined) expect(scene.problem).toBeUndefined()
  else expect(scene.problem).toContain(problem)
  scene.host = [plain('192.0.2.1')]
  await vi.advanceTimersByTimeAsync(6_000)
  expect(scene.problem).toBeUndefined()
})
