/**
 * `npm run demo`: a real Docker host in a box, and what embargod does to it, step by step. Exit code 0 when every step is as it
 * should be, 1 when one is not. `--keep` leaves the box open.
 */
import { showCommands, showWayIn } from './demo/afterwards.ts'
import { GuardedHost } from './demo/guarded-host.ts'
import { Screen } from './demo/screen.ts'
import { tellStory } from './demo/story.ts'
import { Lab } from './lab.ts'

const unknown = process.argv.slice(2).filter((argument) => argument !== '--keep')
if (unknown.length > 0) {
  console.error(`demo: what is ${unknown.join(' ')}? There are --keep and --down.`)
  process.exit(64)
}
const keep = process.argv.includes('--keep')
const beganMs = performance.now()
const screen = new Screen(process.stdout)

let ended = false
process.on('exit', () => {
  if (!ended) process.stdout.write('\ndemo: stopped before its end; the box is gone\n')
})

screen.text('A real Docker engine and a little internet, in namespaces that have no way out.')
const scene = await screen.during('starting the Docker host and the internet', async () => {
  const lab = await Lab.start({ name: 'demo' })
  await lab.network('shop', { ipv6: true })
  const [web, shop, host] = await Promise.all([
    lab.container({ name: 'web' }),
    lab.container({ name: 'shop_api', network: 'shop' }),
    GuardedHost.install(lab),
  ])
  return { lab, host, screen, web, shop }
})

await tellStory(scene)
await showCommands(scene)

const seconds = Math.round((performance.now() - beganMs) / 1000)
screen.heading(
  screen.failures === 0
    ? `Every step was as it should be. ${seconds} s in all.`
    : `${screen.failures} NOT OK. ${seconds} s in all.`,
)
if (screen.failures > 0) screen.text(`The end of its log:\n${lastOf(scene.host.log)}`)
if (keep) {
  showWayIn(scene)
  scene.lab.keep()
} else await scene.lab.stop()
ended = true
process.exit(screen.failures === 0 ? 0 : 1)

function lastOf(log: string): string {
  const lines = log.trimEnd().split('\n').slice(-10)
  return lines.map((line) => (line.length > 300 ? `${line.slice(0, 300)}…` : line)).join('\n')
}
