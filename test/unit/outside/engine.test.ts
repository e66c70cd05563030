import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DockerApi } from '../../../src/workloads/docker/api.ts'
import { DockerSession } from '../../../src/workloads/docker/session.ts'
import { parseEngine } from '../../../src/workloads/engine.ts'
import {
  attachedTo,
  inspectionOf,
  parseAttachment,
  parseInventory,
} from '../../../src/workloads/inventory.ts'
import type { Inventory } from '../../../src/workloads/model.ts'
import { containerJson, ENGINE_28, networkJson, SHOP_ID } from '../../support/docker-json.ts'
import { turns } from '../../support/turns.ts'

/** An engine that says anything: the session ends with an error or tells what makes sense, and a network that was listed is never left out. */

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    '',
    0,
    -1,
    1e99,
    true,
    [],
    {},
    [null],
    { a: null },
    '\u202e',
    '__proto__',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown),
)

type Path = readonly (string | number)[]
/** Every place in a value, the value itself first. */
const placesIn = (value: unknown, at: Path = []): Path[] =>
  typeof value === 'object' && value !== null
    ? [at, ...Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...at, key]))]
    : [at]
const withAt = (value: unknown, [key, ...rest]: Path, put: unknown): unknown => {
  if (key === undefined) return put
  if (Array.isArray(value))
    return value.map((inner: unknown, index) =>
      String(index) === String(key) ? withAt(inner, rest, put) : inner,
    )
  return { ...(value as object), [key]: withAt((value as Record<string, unknown>)[key], rest, put) }
}
/** A good answer with some of its values replaced. */
const oddly = (good: unknown): fc.Arbitrary<unknown> =>
  fc.array(fc.tuple(fc.constantFrom(...placesIn(good)), odd), { maxLength: 3 }).map((changes) =>
    changes.reduce((value, [path, put]) => {
      const isThere = placesIn(value).some((one) => one.join() === path.join())
      return isThere ? withAt(value, path, put) : value
    }, good),
  )

const NETWORKS = [
  networkJson(),
  networkJson({ Id: 'n2', Name: 'pay', Containers: { c1: { IPv4Address: '172.18.0.2/16' } } }),
]
const CONTAINER = containerJson({
  id: 'c1',
  network: { Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '80' }] } },
})
const SUMMARY = {
  Id: 'c1',
  Names: ['/web'],
  State: 'running',
  Labels: { a: 'b' },
  HostConfig: {},
  NetworkSettings: {},
}

test('any JSON makes an inventory, with names, addresses and ports that are some', () => {
  fc.assert(
    fc.property(
      oddly(NETWORKS),
      oddly([CONTAINER]),
      oddly({ ...ENGINE_28.info, ...ENGINE_28.version }),
      oddly(SUMMARY),
      (networks, containers, engine, summary) => {
        const { value, problems } = parseInventory({ networks, containers })
        for (const { id, name, bridge, subnets } of value.networks) {
          expect([id, name]).not.toContain('')
          if (bridge !== undefined) expect(bridge).toMatch(/^[A-Za-z0-9_.-]{1,15}$/)
          for (const subnet of subnets) expect(subnet).toMatch(/^[0-9a-f.:]+(\/\d+)?$/)
        }
        for (const { id, endpoints, servedPorts, pid } of value.containers) {
          expect(id).not.toBe('')
          expect(pid ?? 1).toBeGreaterThan(0)
          for (const { addresses } of endpoints)
            for (const address of addresses) expect(address).toMatch(/^[0-9a-f.:]+$/)
          for (const { port } of servedPorts) expect(port).toBeLessThanOrEqual(65_535)
        }
        for (const problem of problems) expect(problem.length).toBeLessThan(1_000)
        parseEngine({ info: engine, version: engine })
        parseInventory({ networks: [], containers: [inspectionOf(summary)] })
        for (const id of attachedTo(networks)) parseAttachment(networks, id)
      },
    ),
    { numRuns: 2000, seed: 7 },
  )
})

test('a session with it ends with an error or tells all networks that were listed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        networks: oddly(NETWORKS),
        ids: oddly(['c1']),
        container: oddly(CONTAINER),
        network: oddly(NETWORKS[1]),
        info: oddly(ENGINE_28.info),
        image: oddly({ Config: { Labels: { a: 'b' } } }),
        events: fc.array(
          fc.oneof(
            oddly({ Type: 'container', Action: 'start', Actor: { ID: 'c1', Attributes: {} } }),
            oddly({
              Type: 'network',
              Action: 'connect',
              Actor: { ID: 'n2', Attributes: { container: 'c1' } },
            }),
            oddly({ Type: 'network', Action: 'create', Actor: { ID: SHOP_ID, Attributes: {} } }),
            odd,
          ),
          { maxLength: 8 },
        ),
      }),
      async (says) => {
        const ids: unknown = says.ids
        const api: DockerApi = {
          version: async () => ENGINE_28.version,
          info: async () => says.info,
          networks: async () => says.networks,
          network: async () => says.network,
          containerIds: async () => (Array.isArray(ids) ? ids.map(String) : []),
          container: async () => says.container,
          containerInList: async () => inspectionOf(says.container),
          image: async () => says.image,
          events: async () =>
            Readable.from(lasting(says.events.map((event) => `${JSON.stringify(event) ?? '{'}\n`))),
          close: () => undefined,
        }
        const told: Inventory[] = []
        const stopping = new AbortController()
        const session = new DockerSession(
          api,
          (update) => {
            if (update.kind === 'inventory') told.push(update.inventory)
            else if (update.kind === 'problem') expect(update.sentence).toBeTypeOf('string')
          },
          { coalesceMs: 0, relistMs: 60_000, nowMs: () => 0 },
        )
        const over = session.run(0, stopping.signal).then(
          () => undefined,
          (error: unknown) => error,
        )
        await Promise.race([over, turns()])
        stopping.abort()
        const failure = await over
        expect(failure === undefined || failure instanceof Error).toBe(true)
        const [first] = told
        if (first)
          expect(first.networks).toHaveLength(
            new Set((says.networks as { Id: string }[]).map(({ Id }) => Id)).size,
          )
      },
    ),
    { numRuns: 300, seed: 7 },
  )
})

/** The stream stays open behind its events. */
async function* lasting(lines: readonly string[]): AsyncGenerator<Buffer> {
  for (const line of lines) yield Buffer.from(line)
  await turns(100)
}
