import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Finding } from './figure.ts'
import { median } from './spread.ts'

/** Work on so much input from outside, ready to be done. */
export type Prepare = (count: number) => Promise<Work> | Work
/** What it gives is kept until the memory was measured. */
export type Work = () => unknown

const TURNS = 3
/** Four times the input may take six times as long: a cold cache is no quadratic loop, which would take sixteen. */
const MOST_A_DOUBLING = 2.5
/** Below that the clock and the collector decide. */
const LEAST_MS = 2

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** How time of the processor, whoever else uses the machine, and memory grow from `count` to twice and four times as much. */
export async function growth(what: string, count: number, prepare: Prepare): Promise<Finding> {
  const rows: { ms: number; mb: number }[] = []
  for (const size of [count, 2 * count, 4 * count]) rows.push(await measure(size, prepare))
  const [first, , last] = rows
  if (!first || !last) throw new Error('nothing was measured')
  const ratio = Math.sqrt(last.ms / first.ms)
  const times = rows.map(({ ms }) => ms.toFixed(ms < 10 ? 1 : 0)).join(', ')
  return {
    what: `${what}: ${[count, 2 * count, 4 * count].map((size) => size.toLocaleString('en')).join(', ')}`,
    measured: `${times} ms; × ${ratio.toFixed(2)} a doubling; ${last.mb.toFixed(1)} MB`,
    reach: `≤ ${MOST_A_DOUBLING}`,
    met: ratio <= MOST_A_DOUBLING || last.ms < LEAST_MS,
  }
}

/** In use until the memory was measured. */
const used: { kept?: unknown } = {}

async function measure(size: number, prepare: Prepare): Promise<{ ms: number; mb: number }> {
  const turns: { ms: number; mb: number }[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    const work = await prepare(size)
    collect()
    const before = process.memoryUsage().heapUsed
    const start = process.cpuUsage()
    used.kept = await work()
    const { user, system } = process.cpuUsage(start)
    const ms = (user + system) / 1000
    collect()
    turns.push({ ms, mb: Math.max(0, process.memoryUsage().heapUsed - before) / 1e6 })
    used.kept = undefined
  }
  return { ms: median(turns.map(({ ms }) => ms)), mb: median(turns.map(({ mb }) => mb)) }
}
