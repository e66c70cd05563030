/**
 * Runs in the lab's host: `explain --json` of many pairs in one process. Reads `{"config":…,"pairs":[{"source":…,"destination":…}]}`
 * and prints one explanation a pair. What kernel and engine say is read once, since nothing changes meanwhile.
 */
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { parseDestination } from '../../src/cli/explain.ts'
import { callDaemon, type CallDaemon } from '../../src/control/client.ts'
import { runtimeDirectory } from '../../src/control/place.ts'
import { askEngine } from '../../src/workloads/docker/ask-engine.ts'
import { explainAction } from '../../src/inspect/explain.ts'
import { run, type Run, type RunResult } from '../../src/system/exec.ts'

const Order = z.object({
  config: z.string(),
  pairs: z.array(z.object({ source: z.string(), destination: z.string() })),
})

const answers = new Map<string, Promise<RunResult>>()
const runOnce: Run = (argv, options) => {
  const key = JSON.stringify([argv, options?.input])
  const answer = answers.get(key) ?? run(argv, options)
  answers.set(key, answer)
  return answer
}

const ask: CallDaemon = (name, body) => callDaemon(name, body, { directory: runtimeDirectory(process.env) })
let engine: ReturnType<typeof askEngine> | undefined
const explain = explainAction(ask, runOnce, (socket) => (engine ??= askEngine(socket)))

async function explained(source: string, destination: string, config: string): Promise<unknown> {
  let [out, complaint] = ['', '']
  const io = {
    stdout: { write: (part: string) => (out += part) },
    stderr: { write: (part: string) => (complaint += part) },
    isTTY: false,
    color: false,
  }
  const code = await explain({ source, destination: parseDestination(destination), config, json: true }, io)
  if (out === '') throw new Error(`explain ${source} ${destination}: ${complaint}`)
  return { code, ...JSON.parse(out) }
}

const AT_ONCE = 8
const { config, pairs } = Order.parse(JSON.parse(await text(process.stdin)))
const explanations: unknown[] = []
for (let start = 0; start < pairs.length; start += AT_ONCE) {
  const some = pairs.slice(start, start + AT_ONCE)
  explanations.push(
    ...(await Promise.all(some.map(({ source, destination }) => explained(source, destination, config)))),
  )
}
process.stdout.write(JSON.stringify(explanations))
