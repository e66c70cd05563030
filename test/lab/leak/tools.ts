import { join } from 'node:path'
import { unpacked } from '../debian-package.ts'
import { Podman } from '../podman.ts'
import type { Disturbance } from './disturbance.ts'
import { HOSTS } from './hosts.ts'
import { disturbance, type Move, shell, type Tool } from './tool.ts'
import { ufwDocker } from './ufw-docker.ts'

/** In DOCKER-USER, as its guides for Docker have it, and in INPUT. */
const fail2ban: Tool = {
  name: 'fail2ban',
  words: 'fail2ban with jails in DOCKER-USER and INPUT: start, bans, unban, reload, stop',
  sign: 'f2b-web',
  prepare: async ({ lab }) => {
    const tree = await unpacked('fail2ban')
    const directory = join(lab.directory, 'fail2ban')
    await lab.host(['mkdir', '-p', directory])
    await lab.host([
      'cp',
      '-r',
      ...['action.d', 'fail2ban.conf'].map((name) => join(tree, 'etc/fail2ban', name)),
      directory,
    ])
    await lab.host(['mkdir', '-p', join(directory, 'filter.d')])
    const write = (name: string, lines: readonly string[]) =>
      lab.writeHostFile(join(directory, name), `${lines.join('\n')}\n`)
    await write('filter.d/lab.conf', ['[Definition]', 'failregex = ^bad <HOST>$'])
    await write('lab.log', ['nothing yet'])
    const jail = (name: string, chain: string) => [
      `[${name}]`,
      'enabled = true',
      'filter = lab',
      'backend = polling',
      `logpath = ${join(directory, 'lab.log')}`,
      `action = iptables-allports[name=${name}, chain=${chain}, protocol=all]`,
    ]
    await write('jail.conf', [...jail('web', 'DOCKER-USER'), ...jail('ssh', 'INPUT')])
    const files = ['-c', directory, '-s', join(directory, 'socket'), '-p', join(directory, 'pid')]
    const logs = ['--logtarget', join(directory, 'log')]
    const client = (...words: readonly string[]): Move => ({
      argv: [join(tree, 'usr/bin/fail2ban-client'), ...files, ...logs, ...words],
      env: { PYTHONPATH: join(tree, 'usr/lib/python3/dist-packages') },
    })
    return [
      client('start'),
      client('set', 'web', 'banip', '192.0.2.9', '192.0.2.10'),
      client('set', 'ssh', 'banip', '192.0.2.9'),
      // Its actions are started with the first ban of each family.
      client('set', 'web', 'banip', '2001:db8:bad::9'),
      client('set', 'web', 'unbanip', '192.0.2.10'),
      client('reload'),
      client('stop'),
    ]
  },
}

/** What the command calls for each word. */
const netfilterPersistent: Tool = {
  name: 'netfilter-persistent',
  words: 'netfilter-persistent: the firewall saved, and loaded again while all of it runs',
  sign: '-j EMBARGOD',
  prepare: async () => {
    const plugins = join(await unpacked('iptables-persistent'), 'usr/share/netfilter-persistent/plugins.d')
    const all = (word: string): Move => ({ argv: ['run-parts', '-a', word, plugins] })
    return [shell('mkdir -p /etc/iptables'), all('save'), all('start'), all('start')]
  },
}

/** A mesh VPN brings its interface up and puts its chains on top of INPUT, FORWARD and POSTROUTING. */
const meshVpn: Tool = {
  name: 'mesh-vpn',
  words: 'a mesh VPN up and down, with its chains on top of INPUT, FORWARD and POSTROUTING',
  sign: '-j ts-forward',
  prepare: async () => {
    const both = (script: string) => shell(`for t in iptables ip6tables; do\n${script}\ndone`)
    return [
      shell(
        'ip tuntap add dev tailscale0 mode tun; ip addr add 100.64.0.9/32 dev tailscale0; ip link set tailscale0 up',
      ),
      both(`
        $t -N ts-input; $t -N ts-forward; $t -t nat -N ts-postrouting
        $t -A ts-input -i tailscale0 -j ACCEPT
        $t -A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000
        $t -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT
        $t -A ts-forward -o tailscale0 -j ACCEPT
        $t -t nat -A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE
        $t -I INPUT -j ts-input; $t -I FORWARD -j ts-forward; $t -t nat -I POSTROUTING -j ts-postrouting`),
      // It keeps its own bits over a connection.
      shell(
        `nft 'add table inet vpn; add chain inet vpn pre { type filter hook prerouting priority mangle; }; add rule inet vpn pre ct state established,related meta mark set ct mark and 0x00ff0000'`,
      ),
      // A change of routes makes its rules anew.
      both(`
        $t -F ts-forward
        $t -A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000
        $t -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT
        $t -A ts-forward -o tailscale0 -j ACCEPT`),
      both(`
        $t -D INPUT -j ts-input; $t -D FORWARD -j ts-forward; $t -t nat -D POSTROUTING -j ts-postrouting
        for c in ts-input ts-forward; do $t -F $c; $t -X $c; done
        $t -t nat -F ts-postrouting; $t -t nat -X ts-postrouting`),
    ]
  },
  end: ['sh', '-c', 'nft delete table inet vpn; ip link delete tailscale0'],
}

/** A server as its guides have it: everything of the tunnel is forwarded. */
const wgQuick: Tool = {
  name: 'wg-quick',
  words: 'wg-quick up and down, with the rules for FORWARD that its guides have',
  sign: '-i wg0 -j ACCEPT',
  prepare: async ({ lab }) => {
    const [tools, go] = [await unpacked('wireguard-tools'), await unpacked('wireguard-go')]
    const path = `${join(tools, 'usr/bin')}:${join(go, 'usr/bin')}:${process.env['PATH']}`
    const file = '/etc/wireguard/wg0.conf'
    const rules = (verb: string) =>
      ['iptables', 'ip6tables']
        .flatMap((tool) => [
          `${tool} -${verb} FORWARD -i %i -j ACCEPT`,
          `${tool} -${verb} FORWARD -o %i -j ACCEPT`,
          `${tool} -t nat -${verb} POSTROUTING -o eth0 -j MASQUERADE`,
        ])
        .join('; ')
    const key = (await lab.host([join(tools, 'usr/bin/wg'), 'genkey'])).stdout.trim()
    await lab.host(['mkdir', '-p', '/etc/wireguard'])
    await lab.writeHostFile(
      file,
      [
        '[Interface]',
        `PrivateKey = ${key}`,
        'Address = 10.99.0.1/24, fd00:99::1/64',
        'ListenPort = 51820',
        `PostUp = ${rules('I')}`,
        `PostDown = ${rules('D')}`,
        '',
      ].join('\n'),
    )
    const quick = (word: string): Move => ({ argv: ['wg-quick', word, file], env: { PATH: path } })
    return [quick('up'), quick('down'), quick('up'), quick('down')]
  },
}

const podman: Disturbance = {
  name: 'podman',
  words: 'Podman beside Docker: a container comes, which makes its bridge and its rules, and goes',
  run: async (host) => {
    const beside = await Podman.install(host.lab)
    for (const name of ['one', 'two']) {
      await beside.start(name)
      await host.wait(500)
      await beside.remove(name)
      await host.whole()
    }
  },
}

const others = (wanted: string): readonly Disturbance[] => HOSTS.filter(({ name }) => name === wanted)

/** Tools that live beside Docker on many hosts, and what they do there in a day. */
export const TOOLS_BESIDE: readonly Disturbance[] = [
  ...[fail2ban, netfilterPersistent, meshVpn, wgQuick, ufwDocker].map(disturbance),
  podman,
  ...['ufw', 'firewalld-nftables', 'firewalld-iptables'].flatMap(others),
]
