import { readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import type { Lab } from './lab.ts'

/** What a stressed host looks like from outside: who reaches what, what the daemon says, weighs and holds. */

/** Those of the addresses whose web server answers the container, all asked at once. */
export async function reached(from: LabContainer, addresses: readonly string[]): Promise<readonly string[]> {
  const each = '(curl -sg -o /dev/null --max-time 3 "http://$a/" && echo "$a") &'
  const { stdout } = await from.exec(['sh', '-c', `for a in "$@"; do ${each} done; wait`, 'sh', ...addresses])
  const answered = new Set(stdout.split('\n'))
  return addresses.filter((address) => answered.has(address))
}

const Line = z.looseObject({ level: z.string(), msg: z.string(), name: z.string().optional() })
export type LogLine = z.infer<typeof Line>

/** Lines of the daemon's log from this length of it on. */
export function linesSince(daemon: Daemon, length: number): readonly LogLine[] {
  return daemon.logs
    .slice(length)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Line.parse(JSON.parse(line)))
}

/** Memory of the daemon's own process, in MiB. */
export function residentMib(daemon: Daemon): number {
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}

/** MiB by which the memory of the daemon grew at its highest. */
export async function growth({ pid }: Daemon, work: () => Promise<unknown>): Promise<number> {
  const kib = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  const before = kib('VmRSS')
  await work()
  return (kib('VmHWM') - before) / 1024
}

const Report = z.object({
  names: z.array(
    z.object({ name: z.string(), state: z.string(), addresses: z.array(z.object({ address: z.string() })) }),
  ),
})

/** The addresses that the daemon says a name has. */
export async function heldBy(lab: Lab, name: string): Promise<readonly string[]> {
  const { names } = Report.parse(JSON.parse((await lab.cli(['status', '--json'])).stdout))
  return names.find((one) => one.name === name)?.addresses.map(({ address }) => address) ?? []
}

/** Elements of every set of ours in the kernel, by the set's name. */
export async function setSizes(lab: Lab): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await lab.host(['ipset', 'list', '-terse'])
  const found = stdout.matchAll(/^Name: (embargod-\S+)[^]*?^Number of entries: (\d+)/gm)
  return new Map([...found].map(([, name = '', entries]) => [name, Number(entries)]))
}

/** Questions that the little internet was asked since the last `forget`, by name. */
export async function questions(lab: Lab): Promise<ReadonlyMap<string, number>> {
  const asked = new Map<string, number>()
  for (const { name: spelled } of await lab.inet.queries()) {
    // Questions come in letters of random case.
    const name = spelled.toLowerCase()
    asked.set(name, (asked.get(name) ?? 0) + 1)
  }
  return asked
}
