import { connectionsOf } from './connections.ts'
import { rssMb } from './cpu.ts'
import type { Figure } from './figure.ts'
import { ruleEvents } from './kernel-events.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { median, quantile, ratios, told } from './spread.ts'
import { clientOf, serve, SERVER } from './traffic-hosts.ts'
import { Lab } from '../lab/lab.ts'

const POLICIES = 200
const STARTS = 100
/** Of the engine, which takes some tenths of a second each. */
const AT_ONCE = 4

export const policies: Figure = {
  name: 'policies',
  title: `${POLICIES} policies`,
  method: `One host with one policy and its one container, one with ${POLICIES} policies, each of which some of the containers have; the client has the last one. From the engine's own time of a container's start to its entry in the bridge's map, as the kernel's monitor tells of it; the containers of the measurement are started one after the other. Below zero: before it ran.`,
  async measure({ rounds, seconds, containers }) {
    await using one = await Lab.start({ name: 'bench-policy' })
    await using many = await Lab.start({ name: 'bench-policies' })
    await guarded(one, 1)
    const { pid } = await guarded(many, POLICIES)
    if (pid === undefined) throw new Error('the daemon has ended')
    for (let index = 0; index < containers; index += AT_ONCE) {
      const names = Array.from(
        { length: AT_ONCE },
        (_, next) => `p${(index + next) % POLICIES}-${index + next}`,
      )
      await Promise.all(names.map((name) => many.container({ name })))
      process.stderr.write(`\r  ${index + AT_ONCE} of ${containers} containers  `)
    }
    process.stderr.write('\n')
    const hosts = [
      { name: 'one', lab: one, client: await clientOf(one, { name: 'p0-client' }) },
      { name: 'many', lab: many, client: await clientOf(many, { name: `p${POLICIES - 1}-client` }) },
    ]
    for (const { lab, client } of hosts) {
      const url = `http://${SERVER.address}:${SERVER.webPort}/`
      const open = async () => (await client.exec(['curl', '-s', '-m', '1', url])).code === 0
      await lab.waitFor('the client has its rights', open, 60_000)
    }
    const results = await inTurns(
      hosts.map(({ name, client }) => ({
        name,
        turn: () => connectionsOf({ client, target: SERVER.address }, seconds),
      })),
      rounds,
    )
    const shares = ratios(resultsOf(results, 'many'), resultsOf(results, 'one'))
    const waits = await untilRights(many, Math.min(STARTS, containers))
    return [
      { what: '1 policy, 1 container', measured: told(resultsOf(results, 'one'), '/s', 0) },
      {
        what: `${POLICIES} policies, ${containers} containers`,
        measured: told(resultsOf(results, 'many'), '/s', 0),
      },
      {
        what: `${POLICIES} policies : 1 policy`,
        measured: told(shares, '', 3),
        reach: '≥ 0.95',
        met: median(shares) >= 0.95,
      },
      {
        what: `start of a container to its rights, beside ${containers} others`,
        measured: `p50 ${quantile(waits, 0.5).toFixed(0)} ms, p99 ${quantile(waits, 0.99).toFixed(0)} ms`,
        reach: 'p99 ≤ 50 ms',
        met: quantile(waits, 0.99) <= 50,
      },
      { what: 'memory of the daemon', measured: `${rssMb(pid).toFixed(0)} MB` },
    ]
  },
}

async function guarded(lab: Lab, count: number) {
  await serve(lab)
  const list = Array.from(
    { length: count },
    (_, index) =>
      `  p${index}: { match: { container: "p${index}-*" }, allow: [{ cidr: ${SERVER.address}/32, ports: [${SERVER.webPort}/tcp] }] }`,
  )
  return lab.daemon({ config: ['allow: []', 'policies:', ...list].join('\n') })
}

/** Milliseconds from each start to the entry in the map. */
async function untilRights(lab: Lab, starts: number): Promise<number[]> {
  const events = await ruleEvents(lab)
  const waits: number[] = []
  for (let index = 0; index < starts; index += 1) {
    events.forget()
    const container = await lab.container({ name: `p${index % POLICIES}-measured-${index}` })
    const [address = ''] = (await container.addresses()).ipv4
    const bound = await events.first(
      new RegExp(`add element bridge embargod-bindings .*\\b${address.replaceAll('.', String.raw`\.`)}\\b`),
      20_000,
    )
    const { State } = await lab.docker.getContainer(container.id).inspect()
    waits.push(performance.timeOrigin + bound.atMs - Date.parse(State.StartedAt))
    process.stderr.write(
      `\r  ${index + 1} of ${starts} starts, the last one ${waits.at(-1)?.toFixed(0)} ms  `,
    )
    await container.stop()
  }
  process.stderr.write('\n')
  events.close()
  return waits
}
