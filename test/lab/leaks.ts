import type { LabContainer } from './container.ts'
import type { Lab } from './lab.ts'
import { flood } from './packets.ts'

/** Where nothing may ever arrive: no test allows these. */
const FORBIDDEN = { 4: '203.0.113.66', 6: '2001:db8:f::66' } as const

export interface LeakOptions {
  /** How long the flood goes on at least. */
  readonly seconds: number
  readonly families?: readonly (4 | 6)[]
}

/**
 * Floods what is forbidden, TCP and UDP, while something happens to the host, and counts what arrives. Rejects when
 * nothing was sent, or when the flood was over before the disturbance was.
 */
export async function leaksDuring(
  lab: Lab,
  from: LabContainer,
  disturb: () => Promise<unknown>,
  options: LeakOptions,
): Promise<number> {
  const { seconds, families = [4, 6] } = options
  const before = await arrived(lab)
  let over = false
  const floods = families.flatMap((family) =>
    (['udp', 'syn'] as const).map((proto) =>
      flood(from, { dst: FORBIDDEN[family], proto, rate: 500, seconds }),
    ),
  )
  const all = Promise.all(floods).finally(() => (over = true))
  // The sender has to be under way when the disturbance begins.
  await new Promise((resolve) => setTimeout(resolve, 400))
  await disturb()
  if (over) throw new Error('the flood was over before the disturbance was')
  const sent = await all
  if (sent.some((count) => count < 500 * seconds)) throw new Error(`only ${sent.join()} packets were sent`)
  return (await arrived(lab)) - before
}

export interface SteadyFlood {
  /** Ends the flood and gives the number of packets that arrived; rejects when it had ended by itself. */
  stop(): Promise<number>
}

/** A flood of what is forbidden, 1,000 packets a second of each family, until it is stopped (or ten minutes are over). */
export async function steadyFlood(
  lab: Lab,
  from: LabContainer,
  families: readonly (4 | 6)[] = [4, 6],
): Promise<SteadyFlood> {
  const before = await arrived(lab)
  for (const family of families) {
    for (const proto of ['udp', 'syn']) {
      const command = `sender flood --proto=${proto} --dst=${FORBIDDEN[family]} --port=9999 --rate=500 --seconds=600`
      await from.exec(['sh', '-c', `${command} >/dev/null 2>&1 & echo $! >>/tmp/floods`])
    }
  }
  return {
    stop: async () => {
      const { code, stderr } = await from.exec(['sh', '-c', 'kill $(cat /tmp/floods) && rm /tmp/floods'])
      if (code !== 0) throw new Error(`the flood had ended: ${stderr}`)
      return (await arrived(lab)) - before
    },
  }
}

async function arrived(lab: Lab): Promise<number> {
  return (await lab.farEnd.count(FORBIDDEN[4])) + (await lab.farEnd.count(FORBIDDEN[6]))
}
