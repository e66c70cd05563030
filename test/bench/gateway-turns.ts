import type { LabContainer } from '../lab/container.ts'
import type { DnsScene } from './dns-hosts.ts'
import type { Finding, Scale } from './figure.ts'

const NAME = 'turns.example'
const ADDRESSES = Array.from({ length: 16 }, (_, index) => `203.0.113.${100 + index}`)
const ANSWERS = ADDRESSES.map((address) => ({ a: [address], ttl: 1 }))
/** One process each, so that nobody but the gateway remembers an answer. */
const CONNECTIONS = `for i in $(seq COUNT); do
  curl -4 -s -o /dev/null --max-time 0.4 http://${NAME}/ || echo failed
done`

/** A name with sixteen addresses, one an answer: connections that fail. */
export async function turns({ lab, daemon }: DnsScene, { connections }: Scale): Promise<Finding[]> {
  await lab.inet.dns({ [NAME]: { turns: ANSWERS } })
  await daemon.term()
  const from = await lab.container()
  const failures: number[] = []
  for (const gateway of [false, true]) {
    // Each begins with nothing known.
    await lab.host(['rm', '-rf', lab.embargod.stateDirectory])
    const again = await lab.daemon({ config: configOf(gateway) })
    failures.push(await failedOf(from, connections))
    await again.term()
  }
  const [polling = Number.NaN, held = Number.NaN] = failures
  const what = `failed of ${connections.toLocaleString('en')} connections to a name of 16 addresses, one an answer`
  return [
    { what: `${what}: polling`, measured: String(polling) },
    { what: `${what}: the gateway`, measured: String(held), reach: '0', met: held === 0 },
  ]
}

const configOf = (gateway: boolean): string =>
  [
    `dns: { gateway: ${gateway} }`,
    'resolver: { refresh: { min: 1s } }',
    'denyWith: reject',
    `allow: [${NAME}]`,
  ].join('\n')

async function failedOf(from: LabContainer, connections: number): Promise<number> {
  const script = CONNECTIONS.replace('COUNT', String(connections))
  const { stdout, code } = await from.exec(['sh', '-c', script], { timeoutMs: 600_000 })
  if (code !== 0 && code !== 1) throw new Error(`the connections ended with ${code}`)
  return stdout.split('failed').length - 1
}
