import { spawn } from 'node:child_process'
import { Resolver as CaresResolver } from 'node:dns/promises'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hostname } from '../src/net/types.ts'
import { Resolver } from '../src/resolve/resolver.ts'

/**
 * How many names a second (A and AAAA each) come back from a dnsmasq on loopback: ours, node:dns, adnshost and `dig -f`, in turn.
 * Usage: npx tsx scripts/bench-resolver.ts [names] [rounds]
 */
const count = Number(process.argv[2] ?? 10_000)
const rounds = Number(process.argv[3] ?? 5)
// adnshost and dig -f ask port 53 of an address of their own choice, so the server needs it: another loopback address keeps it apart.
const [server, port] = ['127.0.53.53', 53]
const names = Array.from({ length: count }, (_, i) => `n${i}.bench.example.com` as Hostname)

type Contestant = { readonly name: string; readonly run: () => Promise<void> }

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-resolver-'))
  const list = join(directory, 'names')
  const digList = join(directory, 'dig')
  await writeFile(list, `${names.join('\n')}\n`)
  await writeFile(digList, names.flatMap((name) => [`${name}. A`, `${name}. AAAA`]).join('\n'))
  const dnsmasq = spawn('/usr/sbin/dnsmasq', [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--pid-file=',
    '--bind-interfaces',
    `--listen-address=${server}`,
    `--port=${port}`,
    '--address=/#/198.51.100.7',
    '--address=/#/2001:db8::7',
  ])
  try {
    await new Promise((resolve) => setTimeout(resolve, 500))
    await compare([
      { name: 'embargod', run: ours },
      { name: 'node:dns', run: cares },
      { name: 'adnshost', run: () => adnshost(list) },
      { name: 'dig -f', run: () => command('dig', [`@${server}`, '+short', '-f', digList]) },
    ])
  } finally {
    dnsmasq.kill()
    await rm(directory, { recursive: true })
  }
}

async function compare(contestants: readonly Contestant[]): Promise<void> {
  const rates = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of contestants) {
      const startMs = performance.now()
      await run()
      rates.get(name)?.push(count / ((performance.now() - startMs) / 1000))
    }
  }
  const medianOf = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN
  const ourRate = medianOf(rates.get('embargod') ?? [])
  for (const [name, all] of rates) {
    const [low, median, high] = [Math.min(...all), medianOf(all), Math.max(...all)].map(Math.round)
    console.log(
      `${name.padEnd(10)} ${median} names/s (${low}-${high}), ours is ${(ourRate / (median ?? 1)).toFixed(2)} times as fast`,
    )
  }
}

async function ours(): Promise<void> {
  const resolver = new Resolver({ servers: [`${server}:${port}`], timeoutMs: 5000 })
  const lookups = await inParallel((name) =>
    Promise.all([resolver.lookup(name, 4), resolver.lookup(name, 6)]),
  )
  if (lookups.flat().some(({ kind }) => kind !== 'addresses')) throw new Error('a name did not resolve')
}

async function cares(): Promise<void> {
  const resolver = new CaresResolver({ timeout: 5000, tries: 2 })
  resolver.setServers([`${server}:${port}`])
  await inParallel((name) =>
    Promise.all([resolver.resolve4(`${name}.`, { ttl: true }), resolver.resolve6(`${name}.`, { ttl: true })]),
  )
}

/** 128 names at a time, as the daemon does. */
async function inParallel<T>(ask: (name: Hostname) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) results.push(await ask(name))
  }
  await Promise.all(Array.from({ length: 128 }, worker))
  return results
}

/** One process that asks both families of each name, all questions on the way at a time. */
const adnshost = (list: string): Promise<void> =>
  command('bash', ['-c', 'exec adnshost --config "$0" -a -t addr -Aa -f <"$1"', `nameserver ${server}`, list])

function command(file: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    child.on('error', reject)
    child.on('exit', () => resolve())
  })
}

await main()
