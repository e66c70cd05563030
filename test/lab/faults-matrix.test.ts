import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { FaultScenes, type Scene } from './fault-scenes.ts'
import { faultsOf, FaultTools, type Call, type Fault } from './fault-tools.ts'
import { leaksDuring, steadyFlood } from './leaks.ts'
import { useLab } from './shared-lab.ts'

/**
 * One call of a tool goes wrong, of each kind of pass: nothing gets out that was not let out before, and the daemon gets there by itself.
 * Costly, so it is not part of `npm test`: `npm run faults` plays every fault at every call, and `EMBARGOD_FAULTS=sample` some calls of
 * each kind of pass, each with another fault.
 */
const lab = useLab({ name: 'faults-matrix' })
const FAULTS = process.env['EMBARGOD_FAULTS']
const EVERYTHING = FAULTS === 'all'
/** Names of scenes, in part: `EMBARGOD_FAULT_SCENES=drift,reload`. */
const CHOSEN = process.env['EMBARGOD_FAULT_SCENES']?.match(/\w+/g)

let from: LabContainer
let scenes: FaultScenes

beforeAll(async () => {
  from = await lab().container()
  await lab().inet.dns({ 'moving.example': { a: ['203.0.113.100'], ttl: 1 } })
  scenes = new FaultScenes(lab(), await FaultTools.install(lab()), from)
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(scenes.daemon?.logs.slice(-6000))
})
afterAll(() => scenes.stop())

test.skipIf(FAULTS === undefined)('unguarded, the flood arrives', async () => {
  expect(await leaksDuring(lab(), from, async () => undefined, { seconds: 1 })).toBeGreaterThan(500)
})

/** Cells of a scene in the sample. A call that hangs costs its time limit, so there is one of them. */
const SAMPLE: Readonly<Record<string, { readonly cells: number; readonly hang?: Call }>> = {
  first: { cells: 5 },
  start: { cells: 6 },
  reload: { cells: 8, hang: 'iptables-nft-restore-filter.1' },
  answer: { cells: 2 },
  drift: { cells: 6 },
  secondGuard: { cells: 3 },
}

/** Every call with every fault, or calls spread over the pass, each with another fault than the one before. */
function cellsOf(name: string, calls: readonly Call[]): (readonly [Call, Fault])[] {
  if (EVERYTHING) return calls.flatMap((call) => faultsOf(call).map((fault) => [call, fault] as const))
  const { cells, hang } = SAMPLE[name] ?? { cells: 0 }
  const step = Math.max(1, calls.length / cells)
  const sample = Array.from({ length: Math.min(cells, calls.length) }, (_, index): readonly [Call, Fault] => {
    const call = calls[Math.floor(index * step)] ?? ''
    const quick = faultsOf(call).filter((fault) => fault !== 'hang')
    return [call, quick[index % quick.length] ?? 'exit1']
  })
  return hang === undefined ? sample : [...sample, [hang, 'hang']]
}

describe.for(['first', 'start', 'reload', 'answer', 'drift', 'secondGuard'] as const)('%s', (name) => {
  test.skipIf(FAULTS === undefined || CHOSEN?.includes(name) === false)(
    'with any call gone wrong: nothing gets out, and it gets there by itself',
    async () => {
      const scene: Scene = scenes[name]
      const calls = await scenes.callsOf(scene)
      expect(calls.length, `${scene.what} takes calls`).toBeGreaterThan(0)
      const cells = cellsOf(name, calls)
      const played: string[] = []
      const failed: string[] = []
      if (scene.guarded) await scene.prepare()
      const flood = scene.guarded ? await steadyFlood(lab(), from) : undefined
      for (const [call, fault] of cells) {
        const startedMs = performance.now()
        try {
          if (await scenes.play(scene, call, fault)) played.push(`${call} ${fault}`)
        } catch (error) {
          failed.push(
            `${call} meets ${fault}: ${String(error).split('\n')[0]}\n${scenes.daemon?.logs.slice(-2000)}`,
          )
          console.error(failed.at(-1))
          // Nothing of it is left to the next.
          await scenes.stop()
        }
        if (EVERYTHING) {
          const outcome =
            failed.length > 0
              ? `${failed.length} failed`
              : played.includes(`${call} ${fault}`)
                ? ''
                : 'not reached'
          console.log(`${name} ${call} ${fault}: ${Math.round(performance.now() - startedMs)} ms ${outcome}`)
        }
      }
      expect(failed.join('\n')).toBe('')
      if (flood) expect(await flood.stop()).toBe(0)
      // Calls that only a timer added to the first round need not come again.
      expect(played.length, `of ${cells.length}: ${played.join(', ')}`).toBeGreaterThanOrEqual(
        cells.length * 0.7,
      )
    },
    EVERYTHING ? 7_200_000 : 600_000,
  )
})
