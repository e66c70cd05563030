import { beforeAll, expect, test } from 'vitest'
import type { Run } from '../../src/system/exec.ts'
import { askNamespaces } from '../../src/system/net-namespaces.ts'
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

/** Runs a program in the sandbox of the unit, as another unit that is a copy of it. */
const inSandbox: Run = async (argv, options) => {
  const quoted = argv.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
  await host.write('/etc/probe.in', String(options?.input ?? ''))
  await host.write('/etc/probe.sh', `${quoted} </etc/probe.in\n`)
  await shell(`
    sed -e 's#^ExecStart=.*#ExecStart=/bin/sh /etc/probe.sh#' -e 's#^Type=.*#Type=oneshot#' \
      -e '/^\\(ExecStartPre\\|ExecReload\\|WatchdogSec\\|Restart\\|NotifyAccess\\|RuntimeDirectory\\|StateDirectory\\)/d' \
      /usr/lib/systemd/system/embargod.service >/etc/systemd/system/probe.service
    echo 'StandardOutput=truncate:/etc/probe.out' | sed -i '/^Type=oneshot/r /dev/stdin' /etc/systemd/system/probe.service
    systemctl daemon-reload && systemctl start probe.service`)
  return { stdout: await shell('cat /etc/probe.out'), stderr: '', exitCode: 0 }
}

test('in it containers can be told apart', async () => {
  const pid = Number(await shell('unshare --net sleep 600 >/dev/null 2>&1 & echo $!'))
  await lab().waitFor(
    'it has a network of its own',
    async () => (await shell(`readlink /proc/${pid}/ns/net`)) !== (await shell('readlink /proc/self/ns/net')),
  )
  await shell(`ip link add probe0 type veth peer name probe1 netns ${pid}`)
  const [link] = JSON.parse(await shell('ip -json -details link show probe0'))
  expect([...(await askNamespaces(inSandbox)([999_999, pid]))]).toEqual([[pid, link.link_netnsid]])
  expect((await inSandbox(['cat', `/proc/${pid}/cgroup`])).stdout).toContain('0::/')
  await shell(`kill ${pid}`)
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
