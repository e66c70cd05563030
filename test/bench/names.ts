import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hostname } from '../../src/net/types.ts'
import { Resolver } from '../../src/resolve/resolver.ts'
import type { Figure } from './figure.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { median, ratios, told } from './spread.ts'

const COUNT = 10_000
/** adnshost and dig -f ask port 53 alone; this loopback address keeps the server apart from the machine's own. */
const SERVER = '127.0.53.53'
const NAMES = Array.from({ length: COUNT }, (_, i) => `n${i}.bench.example.com` as Hostname)

export const names: Figure = {
  name: 'names',
  title: '10,000 names from a local server, limit lifted',
  method:
    'A and AAAA of each name from a dnsmasq on loopback: our resolver with 128 names on their way, as in the daemon; adnshost with 100 on their way, its best; `dig -f`, one after the other.',
  async measure({ rounds }) {
    const directory = await mkdtemp(join(tmpdir(), 'bench-names-'))
    const [adnsList, digList] = [join(directory, 'adns'), join(directory, 'dig')]
    await writeFile(adnsList, `${NAMES.join('\n')}\n`)
    await writeFile(digList, NAMES.flatMap((name) => [`${name}. A`, `${name}. AAAA`]).join('\n'))
    const server = startServer()
    try {
      const timed = (name: string, work: () => Promise<void>) => ({
        name,
        turn: async () => {
          const startedMs = performance.now()
          await work()
          return COUNT / ((performance.now() - startedMs) / 1000)
        },
      })
      await answering()
      const results = await inTurns(
        [
          timed('embargod', ours),
          timed('adnshost', () => command('bash', ['-c', ADNSHOST, `nameserver ${SERVER}`, adnsList])),
          timed('dig -f', () => command('dig', [`@${SERVER}`, '+short', '-f', digList])),
        ],
        rounds,
      )
      const of = (name: string): readonly number[] => resultsOf(results, name)
      const toDig = ratios(of('embargod'), of('dig -f'))
      return [
        {
          what: 'embargod',
          measured: told(of('embargod'), 'names/s', 0),
          reach: '≥ 3,000 names/s',
          met: median(of('embargod')) >= 3_000,
        },
        { what: 'adnshost', measured: told(of('adnshost'), 'names/s', 0) },
        { what: 'dig -f', measured: told(of('dig -f'), 'names/s', 0) },
        { what: 'embargod : adnshost', measured: told(ratios(of('embargod'), of('adnshost')), '') },
        { what: 'embargod : dig -f', measured: told(toDig, ''), reach: '> 1', met: median(toDig) > 1 },
      ]
    } finally {
      server.kill()
      await rm(directory, { recursive: true })
    }
  },
}

const startServer = () =>
  spawn(
    'dnsmasq',
    [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--no-resolv',
      '--no-hosts',
      '--pid-file=',
      '--bind-interfaces',
      `--listen-address=${SERVER}`,
      '--port=53',
      '--address=/#/198.51.100.7',
      '--address=/#/2001:db8::7',
    ],
    { stdio: 'ignore' },
  )

async function answering(): Promise<void> {
  const resolver = new Resolver({ servers: [{ kind: 'plain', host: SERVER, port: 53 }], timeoutMs: 500 })
  for (let tries = 0; tries < 20; tries++) {
    const { kind } = await resolver.lookup('ready.bench.example.com' as Hostname, 4)
    if (kind === 'addresses') return resolver.close()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('dnsmasq does not answer')
}

/** 128 names at a time, as the daemon does. */
async function ours(): Promise<void> {
  const resolver = new Resolver({ servers: [{ kind: 'plain', host: SERVER, port: 53 }], timeoutMs: 5000 })
  let next = 0
  const worker = async (): Promise<void> => {
    for (let name = NAMES[next++]; name !== undefined; name = NAMES[next++]) {
      const lookups = await Promise.all([resolver.lookup(name, 4), resolver.lookup(name, 6)])
      if (lookups.some(({ kind }) => kind !== 'addresses')) throw new Error(`${name} did not resolve`)
    }
  }
  await Promise.all(Array.from({ length: 128 }, worker))
  resolver.close()
}

/** Asks both families of 100 names at a time: with all on their way at once it loses most and waits for them. */
const ADNSHOST = 'exec xargs -n 100 adnshost --config "$0" -a -t addr -Aa <"$1"'

function command(file: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${file} ended with ${code}`))))
  })
}
