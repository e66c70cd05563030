import type { Scene } from './scene.ts'

/** Settings by which iptables sees bridged frames, within tags too. */
const NAMES = ['call-iptables', 'call-ip6tables', 'filter-vlan-tagged', 'filter-pppoe-tagged'].map(
  (name) => `net.bridge.bridge-nf-${name}`,
)

/** 1: bridged frames pass iptables as routed ones do; 0: no table of IP sees them. As before when the play is over. */
export async function setBridgeNetfilter({ lab, onEnd }: Scene, value: 0 | 1): Promise<void> {
  const { stdout } = await lab.host(['sysctl', '-n', ...NAMES])
  const before = stdout.trim().split('\n')
  await lab.host(['sysctl', '-qw', ...NAMES.map((name) => `${name}=${value}`)])
  onEnd(() => lab.host(['sysctl', '-qw', ...NAMES.map((name, index) => `${name}=${before[index] ?? 0}`)]))
}
