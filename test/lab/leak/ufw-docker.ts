import { shell, type Tool } from './tool.ts'

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']

/** What ufw-docker adds to ufw's own file. Its second line empties DOCKER-USER, our jump too, whenever ufw loads its rules. */
const ADDED = [
  '# BEGIN UFW AND DOCKER',
  '*filter',
  ':ufw-user-forward - [0:0]',
  ':ufw-docker-logging-deny - [0:0]',
  ':DOCKER-USER - [0:0]',
  '-A DOCKER-USER -j ufw-user-forward',
  '-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN',
  '-A DOCKER-USER -m conntrack --ctstate INVALID -j DROP',
  '-A DOCKER-USER -i docker0 -o docker0 -j ACCEPT',
  ...PRIVATE.map((range) => `-A DOCKER-USER -j RETURN -s ${range}`),
  '-A DOCKER-USER -p udp -m udp --sport 53 --dport 1024:65535 -j RETURN',
  ...PRIVATE.map(
    (range) =>
      `-A DOCKER-USER -j ufw-docker-logging-deny -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -d ${range}`,
  ),
  ...PRIVATE.map(
    (range) => `-A DOCKER-USER -j ufw-docker-logging-deny -p udp -m udp --dport 0:32767 -d ${range}`,
  ),
  '-A DOCKER-USER -j RETURN',
  '-A ufw-docker-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW DOCKER BLOCK] "',
  '-A ufw-docker-logging-deny -j DROP',
  'COMMIT',
  '# END UFW AND DOCKER',
  '',
].join('\n')

/** The usual answer to Docker's published ports that pass ufw by. */
export const ufwDocker: Tool = {
  name: 'ufw-docker',
  words: 'ufw with the rules of ufw-docker, which empty DOCKER-USER: enable, allow a port, reload, disable',
  sign: '-A DOCKER-USER -j ufw-user-forward',
  prepare: async ({ lab }) => {
    await lab.host(['cp', '/etc/ufw/after.rules', '/etc/ufw/after.rules.before'])
    await lab.host(['sh', '-c', 'cat >>/etc/ufw/after.rules'], { input: ADDED })
    const ufw = (words: string) => shell(`ufw ${words}`)
    return [
      shell('ufw default allow routed; ufw default allow incoming'),
      ufw('--force enable'),
      ufw('route allow proto tcp from any to any port 8080'),
      ufw('reload'),
      ufw('reload'),
      shell('ufw --force disable; iptables -F DOCKER-USER'),
    ]
  },
  end: [
    'sh',
    '-c',
    'ufw --force disable; mv /etc/ufw/after.rules.before /etc/ufw/after.rules; ufw --force route delete allow proto tcp from any to any port 8080',
  ],
}
