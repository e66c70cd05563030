import type { Daemon } from '../lab/embargod.ts'
import { Lab } from '../lab/lab.ts'
import { HUNDRED_THOUSAND, scriptsOf, writeAddresses, writeNames } from './many-addresses.ts'

export const CHANGING = 'changing.bench.example.com'

/**
 * A host with 100,000 addresses of 10,000 names in the kernel, all answered, and one name more that is asked every second. The other
 * names have a TTL of an hour, so what is measured afterwards is not theirs.
 */
export async function startBusyHost(name: string): Promise<{ lab: Lab; daemon: Daemon; pid: number }> {
  const lab = await Lab.start({ name })
  try {
    await lab.inet.dns(scriptsOf(HUNDRED_THOUSAND, 3600))
    await lab.inet.dns({ [CHANGING]: { a: ['203.0.113.100'], ttl: 1 } })
    const names = await writeNames(lab, HUNDRED_THOUSAND)
    await writeAddresses(lab, HUNDRED_THOUSAND)
    const daemon = await lab.daemon({
      config: [
        `allow: [{ file: ${names}, ports: [443/tcp] }, { domain: ${CHANGING}, ports: [443/tcp] }]`,
        'resolver: { refresh: { min: 1s, max: 1h }, sweep: "0 0 1 1 *", maxQueriesPerSecond: 100000 }',
      ].join('\n'),
    })
    const asked = async (): Promise<boolean> => (await lab.inet.queries()).length >= 20_000
    await lab.waitFor('every name was asked once', asked, 60_000)
    await lab.waitFor(
      'the kernel holds every address',
      async () => /Number of entries: 100001\n/.test((await lab.host(['ipset', 'list', '-t'])).stdout),
      60_000,
    )
    const { pid } = daemon
    if (pid === undefined) throw new Error('the daemon has ended')
    return { lab, daemon, pid }
  } catch (error) {
    await lab.stop()
    throw error
  }
}

/** The set that holds all the addresses. */
export async function largeSet(lab: Lab): Promise<string> {
  const { stdout } = await lab.host(['ipset', 'list', '-t'])
  const block = stdout.split('\n\n').find((part) => part.includes('Number of entries: 100001'))
  const name = /^Name: (.*)$/m.exec(block ?? '')?.[1]
  if (name === undefined) throw new Error('no set holds 100,001 addresses')
  return name
}
