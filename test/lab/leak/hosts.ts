import type { Service } from '../box.ts'
import type { Lab } from '../lab.ts'
import type { Disturbance, DisturbedHost } from './disturbance.ts'
import { WholeRuleset } from './whole-ruleset.ts'

const NO_NAT = 'with all rules the NAT of Docker goes, until its owner puts it back'

/** What other firewalls of a host do to it. */
export const HOSTS: readonly Disturbance[] = [
  {
    name: 'nft-flush-ruleset',
    words: '`nft flush ruleset`, five times',
    cuts: NO_NAT,
    run: async (host) => {
      const before = await WholeRuleset.remember(host.lab)
      for (let time = 0; time < 5; time += 1) {
        await host.lab.host(['nft', 'flush', 'ruleset'])
        await host.whole()
        await before.restore()
        await host.whole()
        await host.wait(300)
      }
    },
  },
  {
    name: 'rival',
    words: 'a second tool that insists on the first place with an `ACCEPT`',
    cuts: 'while its rule stands first, new connections are not approved',
    run: withRival,
  },
  firewalld('nftables'),
  firewalld('iptables'),
  {
    name: 'ufw',
    words: 'ufw enabled, reloaded, disabled',
    run: async (host) => {
      const { lab } = host
      const ufw = (...args: string[]) => lab.host(['ufw', ...args], { timeoutMs: 60_000 })
      const before = await WholeRuleset.remember(lab)
      await ufw('default', 'allow', 'routed')
      await ufw('default', 'allow', 'incoming')
      for (const step of [['--force', 'enable'], ['reload'], ['--force', 'disable']]) {
        await ufw(...step)
        await host.whole()
        await host.wait(500)
      }
      await before.restore()
    },
  },
]

const RIVAL = '-m comment --comment rival -j ACCEPT'

/** Puts its rule first in each chain that may be ours, looking twenty times a second; ends by itself. */
const INSIST = `
i=0
while [ $i -lt 400 ]; do
  i=$((i + 1))
  for at in 'iptables DOCKER-USER' 'iptables FORWARD' 'ip6tables DOCKER-USER' 'ip6tables FORWARD'; do
    set -- $at
    case "$($1 -S $2 1 2>/dev/null)" in
      *'--comment rival'* | '') ;;
      *) $1 -D $2 ${RIVAL} 2>/dev/null; $1 -I $2 1 ${RIVAL} && echo again ;;
    esac
  done
  sleep 0.05
done`

async function withRival(host: DisturbedHost): Promise<void> {
  const { lab } = host
  const service = lab.service('host', ['sh', '-c', INSIST])
  try {
    await lab.waitFor('it insists', () => service.log.includes('again'), 20_000)
    await host.wait(15_000 * host.scale)
  } finally {
    await service.stop('SIGKILL')
    for (const tool of ['iptables', 'ip6tables'])
      for (const chain of ['DOCKER-USER', 'FORWARD'])
        await lab.host(
          ['sh', '-c', `for i in 1 2 3; do ${tool} -D ${chain} ${RIVAL} 2>/dev/null || break; done`],
          { okExitCodes: [1] },
        )
  }
  await host.whole()
}

/** A firewalld of the lab's own, with the bus that it needs, which trusts every zone: what it forbids is no leak of ours. */
function firewalld(backend: 'nftables' | 'iptables'): Disturbance {
  return {
    name: `firewalld-${backend}`,
    words: `firewalld (${backend}) started, reloaded, stopped`,
    cuts: NO_NAT,
    run: async (host) => {
      const { lab } = host
      const before = await WholeRuleset.remember(lab)
      await lab.host(
        ['sh', '-c', `mkdir -p /run/dbus /etc/firewalld && cat >/etc/firewalld/firewalld.conf`],
        {
          input: `DefaultZone=trusted\nFirewallBackend=${backend}\nFlushAllOnReload=yes\nIndividualCalls=no\n`,
        },
      )
      const bus = lab.service('host', ['dbus-daemon', '--system', '--nofork', '--nopidfile'])
      let daemon: Service | undefined
      const settle = async (): Promise<void> => {
        await host.whole()
        await before.restore()
        await host.whole()
        await host.wait(500)
      }
      try {
        await lab.waitFor('the bus is there', () =>
          answers(lab, ['test', '-S', '/run/dbus/system_bus_socket']),
        )
        daemon = lab.service('host', ['firewalld', '--nofork', '--nopid'])
        await lab.waitFor('firewalld runs', () => answers(lab, ['firewall-cmd', '--state']), 60_000)
        await settle()
        await lab.host(['firewall-cmd', '--reload'], { timeoutMs: 60_000 })
        await settle()
      } finally {
        await daemon?.stop('SIGTERM', 30_000)
        await bus.stop('SIGTERM')
        await lab.host(['rm', '-f', '/run/dbus/system_bus_socket'])
      }
      await settle()
    },
  }
}

const answers = (lab: Lab, argv: readonly [string, ...string[]]): Promise<boolean> =>
  lab.host(argv).then(
    () => true,
    () => false,
  )
