import { run } from '../../src/system/exec.ts'
import type { Box } from './box.ts'

/** What the little internet looks like. Everything in SERVERS and SERVERS6 answers on every address. */
export const INET = {
  gateway: '198.51.100.1',
  gateway6: '2001:db8:1::1',
  dns: '198.51.100.1',
  dns6: '2001:db8:1::1',
  /** Resolvers that containers are not meant to ask. */
  otherDns: '203.0.113.53',
  otherDns6: '2001:db8:f::53',
  servers: '203.0.113.0/24',
  servers6: '2001:db8:f::/64',
  metadata: '169.254.169.254',
  metadata6: 'fd00:ec2::254',
} as const

export const HOST = { address: '198.51.100.2', address6: '2001:db8:1::2', uplink: 'eth0' } as const

const METADATA_V4 = ['169.254.0.0/16', '168.63.129.16/32', '100.100.100.200/32', '192.0.0.192/32']
const METADATA_V6 = ['fd00:ec2::/64', 'fd20:ce::/64', 'fd00:c1::/64', 'fd00:42::/64', 'fd00:a9fe:a9fe::/64']

/** Joins the two boxes by a veth pair; there is no third interface, so nothing can leave. */
export async function connect(inet: Box, host: Box): Promise<void> {
  await Promise.all([quiet(inet), quiet(host)])
  await inet.run(['ip', 'link', 'add', 'host0', 'type', 'veth', 'peer', 'name', HOST.uplink])
  const path = `/proc/${host.pid}/ns/net`
  await moveLink(inet, HOST.uplink, path)
  await Promise.all([
    inet.run(['ip', '-batch', '-'], {
      input: lines(
        'link set lo up',
        'link set host0 up',
        `addr add ${INET.gateway}/24 dev host0`,
        `addr add ${INET.gateway6}/64 dev host0 nodad`,
        // To bind an IPv6 address needs the address itself; a local route is enough for all else.
        `addr add ${INET.otherDns6}/128 dev lo nodad`,
        ...[INET.servers, '198.18.0.0/15', ...METADATA_V4].map((net) => `route add local ${net} dev lo`),
        ...[INET.servers6, ...METADATA_V6].map((net) => `route add local ${net} dev lo`),
        ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map(
          (net) => `route add ${net} via ${HOST.address}`,
        ),
        ...['fd00:d0c::/32', '2001:db8:c::/48'].map((net) => `route add ${net} via ${HOST.address6}`),
      ),
    }),
    host.run(['ip', '-batch', '-'], {
      input: lines(
        'link set lo up',
        `link set ${HOST.uplink} up`,
        `addr add ${HOST.address}/24 dev ${HOST.uplink}`,
        `addr add ${HOST.address6}/64 dev ${HOST.uplink} nodad`,
        `route add default via ${INET.gateway}`,
        `route add ::/0 via ${INET.gateway6}`,
      ),
    }),
  ])
}

/** Cuts (or restores) the host's only way out. */
export async function setUplink(inet: Box, state: 'up' | 'down'): Promise<void> {
  await inet.run(['ip', 'link', 'set', 'host0', state])
}

/** Gives an interface of a box to the network namespace at a path of the machine. */
export async function moveLink(box: Box, link: string, toNamespace: string): Promise<void> {
  // Enters the network namespace alone, so that the target's path is looked up outside the box.
  await run(['nsenter', `--net=/proc/${box.pid}/ns/net`, 'ip', 'link', 'set', link, 'netns', toNamespace])
}

/** No duplicate-address detection (it delays IPv6 by a second or two), no dropped odd packets on our side. */
async function quiet(box: Box): Promise<void> {
  const settings = ['default', 'all'].flatMap((scope) => [
    `net.ipv6.conf.${scope}.accept_dad=0`,
    `net.ipv6.conf.${scope}.forwarding=1`,
    `net.ipv4.conf.${scope}.rp_filter=0`,
    `net.ipv4.conf.${scope}.accept_redirects=0`,
  ])
  await box.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.icmp_ratelimit=0', ...settings])
}

const lines = (...parts: string[]): string => `${parts.join('\n')}\n`
