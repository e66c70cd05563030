import { setTimeout as sleep } from 'node:timers/promises'
import { flood } from '../packets.ts'
import type { Attack } from './attack.ts'

const FAR = '203.0.113.66'
const BRIDGE = 'br-open'

/** The rules let the excepted network's bridge through by its name. While nobody watches, another network gets that name. */
export const REUSED_BRIDGE: Attack = {
  name: 'reused-bridge',
  seat: 'container',
  words: 'floods from a new network that got the bridge name of an excepted one while the daemon was dead',
  shows: 'a network that nobody excepted is open',
  quick: true,
  async play(scene) {
    const { lab } = scene
    await scene.network('guarded')
    const open = await lab.network('open', { bridge: BRIDGE })
    scene.onEnd(() => open.remove())
    await scene.guard('allow: [allowed.example]\nguard: { except: [open] }\n')
    await scene.daemon?.kill()
    await open.remove()
    const place = await scene.network('other', { bridge: BRIDGE })
    const attacker = await scene.attacker('other', place)
    await lab.farEnd.reset()
    const sent = await flood(attacker.container, { dst: FAR, proto: 'udp', rate: 500, seconds: 2 })
    await sleep(300)
    return { sent, arrived: await lab.farEnd.count(FAR) }
  },
}
