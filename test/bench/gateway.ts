import { join } from 'node:path'
import { Lab } from '../lab/lab.ts'
import type { Daemon } from '../lab/embargod.ts'
import { setSizes } from '../lab/witness.ts'
import { rssMb } from './cpu.ts'
import { DnsLoad, latencies } from './dns-load.ts'
import type { Figure, Finding, Scale } from './figure.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { median, quantile, ratios, told } from './spread.ts'

/** Answers at once whatever it is asked. */
const UPSTREAM = '203.0.113.77'
const BRIDGE = '172.17.0.1'
const HERE = { address: BRIDGE, port: 53 }
const FORWARDER = { address: BRIDGE, port: 5301 }
const MANY = 200_000
const ASKED = 1_000
const SIXTEEN = Array.from({ length: 16 }, (_, index) => `203.0.113.${100 + index}`)

const CONFIG = `
dns: { gateway: true, upstreams: [${UPSTREAM}], ratePerContainer: 10000/second, log: none }
resolver: { maxAddressesPerName: 65535 }
allow: ['**.fresh.example', '**.known.example', '**.many.example', rotating.example]
`

export const gateway: Figure = {
  name: 'gateway',
  title: 'DNS gateway',
  method:
    'Two hosts, each with an upstream that answers at once: on one the gateway, on the other dnsmasq (`--ipset`) and a forwarder in Node that does nothing else. Four containers ask side by side with dnsperf, 64 questions each on the way; load, upstream and contestant share the cores. New: each name is asked once and has another address, which goes into the kernel. Known: each name is asked once, all have one address. Cached: one name. One at a time: a loop in a container, beside one that asks the upstream itself.',
  async measure(scale) {
    await using ours = await Lab.start({ name: 'bench-gateway' })
    await using theirs = await Lab.start({ name: 'bench-dnsmasq' })
    for (const lab of [ours, theirs]) lab.service('internet', [...tsx('dns-responder.ts'), UPSTREAM])
    await theirs.host(['ipset', 'create', 'bench', 'hash:ip', 'maxelem', '1000000'])
    theirs.service('host', DNSMASQ)
    theirs.service('host', [...tsx('dns-forwarder.ts'), String(FORWARDER.port), UPSTREAM])
    const daemon = await ours.daemon({ config: CONFIG })
    await ours.inet.dns({
      'rotating.example': { turns: SIXTEEN.map((address) => ({ a: [address], ttl: 1 })) },
    })
    return [
      ...(await throughput(ours, theirs, scale)),
      ...(await oneAtATime(ours, theirs)),
      ...(await flooded(ours, daemon)),
      ...(await rotating(ours, daemon, scale)),
    ]
  },
}

const tsx = (file: string): [string, ...string[]] => [
  process.execPath,
  '--import',
  import.meta.resolve('tsx'),
  join(import.meta.dirname, file),
]

const DNSMASQ: [string, ...string[]] = [
  'dnsmasq',
  '-k',
  '-C',
  '/dev/null',
  '--pid-file=',
  '--no-resolv',
  '--no-hosts',
  `--server=${UPSTREAM}`,
  '--cache-size=10000',
  '--dns-forward-max=10000',
  '--ipset=/example/bench',
  `--listen-address=${BRIDGE}`,
  '--bind-interfaces',
  '--user=root',
]

async function throughput(ours: Lab, theirs: Lab, { rounds, seconds }: Scale): Promise<Finding[]> {
  const [here, there] = [await DnsLoad.of(ours), await DnsLoad.of(theirs)]
  const kinds = {
    new: 'TURN-&.fresh.example',
    known: 'TURN-&.known.example',
    cached: 'cached.known.example',
  } as const
  const contestants = Object.entries(kinds).flatMap(([kind, name]) => [
    { name: `gateway ${kind}`, turn: () => here.rate(HERE, name, seconds) },
    { name: `dnsmasq ${kind}`, turn: () => there.rate(HERE, name, seconds) },
  ])
  const results = await inTurns(
    [...contestants, { name: 'forwarder', turn: () => there.rate(FORWARDER, kinds.known, seconds) }],
    rounds,
  )
  const compared = (kind: keyof typeof kinds, least: number): Finding[] => {
    const shares = ratios(resultsOf(results, `gateway ${kind}`), resultsOf(results, `dnsmasq ${kind}`))
    return [
      { what: `${kind}, gateway`, measured: told(resultsOf(results, `gateway ${kind}`), '/s', 0) },
      { what: `${kind}, dnsmasq`, measured: told(resultsOf(results, `dnsmasq ${kind}`), '/s', 0) },
      {
        what: `${kind}, gateway : dnsmasq`,
        measured: told(shares, '', 2),
        reach: `≥ ${least}`,
        met: median(shares) >= least,
      },
    ]
  }
  return [
    ...compared('new', 1.2),
    ...compared('known', 1.5),
    {
      what: 'known, a forwarder in Node that does nothing else',
      measured: told(resultsOf(results, 'forwarder'), '/s', 0),
    },
    ...compared('cached', 0.5),
  ]
}

async function oneAtATime(ours: Lab, theirs: Lab): Promise<Finding[]> {
  const [client, beside] = [await ours.container(), await theirs.container()]
  const direct = await latencies(beside, { address: UPSTREAM, port: 53 }, 'a&.known.example', ASKED)
  const finding = async (what: string, name: string, most: number): Promise<Finding> => {
    const taken = await latencies(client, HERE, name, ASKED)
    const added = quantile(taken, 0.5) - quantile(direct, 0.5)
    return {
      what: `one at a time, ${what}: added`,
      measured: `p50 ${added.toFixed(2)} ms, p99 ${(quantile(taken, 0.99) - quantile(direct, 0.99)).toFixed(2)} ms`,
      reach: `p50 ≤ ${most} ms`,
      met: added <= most,
    }
  }
  return [
    { what: 'one at a time, the upstream itself', measured: `p50 ${quantile(direct, 0.5).toFixed(2)} ms` },
    await finding('cached', 'cached.known.example', 0.5),
    await finding('known', 'one-&.known.example', 0.5),
    await finding('new', 'one-&.fresh.example', 2),
  ]
}

/** One container asks for ever new names; another one goes on as before. */
async function flooded(ours: Lab, { pid }: Daemon): Promise<Finding[]> {
  if (pid === undefined) throw new Error('the daemon has ended')
  const [loud, quiet] = [await ours.container(), await ours.container()]
  const before = rssMb(pid)
  await loud.exec(['sh', '-c', `seq ${MANY} | sed 's/.*/&.many.example A/' >/tmp/questions`])
  const flood = loud.exec(
    ['dnsperf', '-s', BRIDGE, '-d', '/tmp/questions', '-n', '1', '-Q', '9000', '-t', '2'],
    {
      timeoutMs: 120_000,
    },
  )
  const taken: number[] = []
  let over = false
  void flood.finally(() => (over = true))
  const isOver = (): boolean => over
  while (!isOver()) taken.push(...(await latencies(quiet, HERE, 'cached.known.example', 200)))
  const asked = Number(/Response codes:\s+NOERROR (\d+)/.exec((await flood).stdout)?.[1])
  const elements = [...(await setSizes(ours)).values()].reduce((sum, one) => sum + one, 0)
  return [
    {
      what: `${asked.toLocaleString('en')} names of one container: memory of the daemon`,
      measured: `${before.toFixed(0)} MB before, ${rssMb(pid).toFixed(0)} MB after; ${elements.toLocaleString('en')} elements in all sets`,
    },
    {
      what: 'another container meanwhile, cached',
      measured: `p50 ${quantile(taken, 0.5).toFixed(2)} ms, p99 ${quantile(taken, 0.99).toFixed(2)} ms`,
    },
  ]
}

/** Connections to a name whose every answer is another address. */
async function rotating(ours: Lab, daemon: Daemon, { rounds }: Scale): Promise<Finding[]> {
  const client = await ours.container()
  const count = rounds > 5 ? ASKED : 100
  const failed = async (): Promise<number> => {
    const fetch = 'curl -4 -s -o /dev/null --max-time 0.3 http://rotating.example/ || echo failed'
    const { stdout } = await client.exec(
      ['sh', '-c', `for i in $(seq ${count}); do ${fetch}; sleep 0.02; done`],
      {
        timeoutMs: 1_200_000,
      },
    )
    return stdout.split('failed').length - 1
  }
  // The lab's own name server knows the name.
  const config = (isOn: boolean): string =>
    `dns: { gateway: ${isOn} }\nresolver: { refresh: { min: 30s } }\nallow: [rotating.example]`
  const measure = async (isOn: boolean): Promise<number> => {
    await daemon.hup(config(isOn))
    const wanted = isOn ? 'REFUSED' : 'NOERROR'
    await ours.waitFor('the config is in force', async () =>
      (await client.exec(['dig', '+tries=1', '+time=1', 'forbidden.example'])).stdout.includes(wanted),
    )
    return failed()
  }
  const polled = await measure(false)
  const answered = await measure(true)
  return [
    { what: `${count} connections to a rotating name, polling alone: failed`, measured: String(polled) },
    {
      what: `${count} connections to a rotating name, gateway: failed`,
      measured: String(answered),
      reach: '0',
      met: answered === 0,
    },
  ]
}
