import { setTimeout as sleep } from 'node:timers/promises'
import type { Attack, Played } from './attack.ts'
import type { Attacker } from './attacker.ts'
import { frame } from './frame.ts'
import { datagram } from './packet.ts'
import type { Scene } from './scene.ts'

const FAR = '203.0.113.66'
const PORT = 443
const [OPEN_SECONDS, CLOSED_AFTER_SECONDS, SECONDS] = [8, 10, 14]
const RATE = 1000

/** Opened for eight seconds, and the daemon that would close it again is killed after two: what arrives after ten. */
const abandoned = (name: string, words: string, flood: (attacker: Attacker) => Promise<number>): Attack => ({
  name,
  seat: 'container',
  words,
  shows: 'what was opened for a while stays open when the daemon dies',
  async play(scene) {
    const place = await scene.network('glass')
    const attacker = await scene.attacker('glass', place, { name: 'glass' })
    await scene.guard('allow: [allowed.example]\n')
    if (scene.guarded) {
      const entry = `forbidden.example:${PORT}/udp`
      const { code, stderr } = await scene.lab.cli(['allow', entry, '--for', `${OPEN_SECONDS}s`])
      if (code !== 0) throw new Error(`opening for a while: ${stderr}`)
    }
    const startedMs = Date.now()
    const flooding = flood(attacker)
    await sleep(2000)
    const opened = await scene.lab.farEnd.count(FAR)
    await scene.daemon?.kill()
    await sleep(CLOSED_AFTER_SECONDS * 1000 - (Date.now() - startedMs))
    return afterwards(scene, flooding, opened)
  },
})

async function afterwards({ lab }: Scene, flooding: Promise<number>, opened: number): Promise<Played> {
  const before = await lab.farEnd.count(FAR)
  const sent = await flooding
  const arrived = (await lab.farEnd.count(FAR)) - before
  return { sent, arrived, details: [`${opened} while it was open`] }
}

async function fromFreshPorts({ container }: Attacker): Promise<number> {
  const argv =
    `sender flood --proto=udp --dst=${FAR} --port=${PORT} --rate=${RATE} --seconds=${SECONDS}`.split(' ')
  const { code, stderr } = await container.exec(argv, { timeoutMs: 60_000 })
  if (code !== 0) throw new Error(`flooding: ${stderr}`)
  return RATE * SECONDS
}

function fromOnePort(attacker: Attacker): Promise<number> {
  const packet = datagram({ src: attacker.address, dst: FAR }, 4100, PORT, Buffer.from('one connection'))
  return attacker.send(Array<Buffer>(RATE * SECONDS).fill(frame(attacker.ethernet(), packet)), RATE)
}

export const BREAK_GLASS: readonly Attack[] = [
  abandoned(
    'break-glass',
    'connects anew, 1,000 times a second, to what was opened for 8 s, while the daemon is killed',
    fromFreshPorts,
  ),
  abandoned('break-glass-flow', 'the same by one connection that goes on', fromOnePort),
]
