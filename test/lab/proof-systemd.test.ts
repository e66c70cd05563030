import { beforeAll, expect, test } from 'vitest'
import { useLab } from './shared-lab.ts'
import { SystemdHost } from './systemd-host.ts'

/** The sandbox of the unit leaves the daemon two capabilities, no namespaces and no raw sockets: a proof is made within it. */
const lab = useLab({ name: 'proof-systemd', startEngine: false })

let host: SystemdHost

const shell = async (script: string): Promise<string> => (await host.run(['sh', '-c', script])).stdout.trim()
const metrics = () =>
  shell(`node -e "fetch('http://127.0.0.1:9464/metrics').then((r) => r.text()).then(console.log)"`)

beforeAll(async () => {
  host = new SystemdHost(lab())
  await host.installEmbargod()
  await host.install(
    'etc/embargod/embargod.yaml',
    'verify: { every: 5s }\nallow: [allowed.example]\nresolver: { servers: [198.51.100.1] }\n',
    0o600,
  )
  await host.startEngine()
  await lab().network('shop', { ipv6: true })
  await lab().network('named', { bridge: 'my-bridge' })
  await host.boot()
  await host.run(['systemctl', 'start', 'embargod.service'], { timeoutMs: 100_000 })
}, 900_000)

test('the unit proves both guards on every kind of network', async () => {
  await lab().waitFor(
    'proven',
    async () => {
      const page = await metrics()
      return ['bridge', 'shop', 'named'].every((network) =>
        page.includes(`embargod_proof_success{network="${network}"} 1`),
      )
    },
    60_000,
  )
  const status = await shell('cat /proc/$(systemctl show embargod --property=MainPID --value)/status')
  expect(status).toMatch(/^CapEff:\s+0000000000003000$/m)
  expect(status).toMatch(/^Seccomp:\s+2$/m)
})

test('and fails in it when the jump is gone for good', async () => {
  await shell(`
    for tool in iptables-nft-restore ip6tables-nft-restore iptables; do
      printf '#!/bin/sh\\nexit 1\\n' >/usr/local/sbin/$tool; chmod 755 /usr/local/sbin/$tool
    done
    /usr/sbin/iptables -D DOCKER-USER 1`)
  await lab().waitFor(
    'red',
    async () => (await metrics()).includes('embargod_proof_success{network="bridge"} 0'),
    60_000,
  )
  expect(await host.status('embargod.service')).toContain('the rules let a forbidden packet pass')
  await shell('rm /usr/local/sbin/iptables /usr/local/sbin/ip*tables-nft-restore')
  await lab().waitFor(
    'green',
    async () => (await metrics()).includes('embargod_proof_success{network="bridge"} 1'),
    60_000,
  )
})
