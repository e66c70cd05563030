import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { leaksDuring, steadyFlood } from './leaks.ts'
import { rulesOf } from './rules.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** A second tool that insists on the first place: no endless fight, and nothing gets out of it. */
const lab = useLab({ name: 'fight' })

const CONFIG = 'allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]'

/** Puts its rule first whenever it is not, and looks twenty times a second; for two minutes at most. */
const INSISTS = `
i=0
while [ $i -lt 2400 ]; do
  i=$((i + 1))
  case "$(iptables -S DOCKER-USER 1)" in
    *"--comment rival"*) ;;
    *) iptables -D DOCKER-USER -m comment --comment rival -j ACCEPT
       iptables -I DOCKER-USER 1 -m comment --comment rival -j ACCEPT && echo again ;;
  esac
  sleep 0.05
done`

const RIVAL = ['-m', 'comment', '--comment', 'rival', '-j', 'ACCEPT']

beforeAll(async () => {
  await lab().network('six', { ipv6: true })
})

function rival() {
  const service = lab().service('host', ['sh', '-c', INSISTS])
  const stop = () => service.stop('SIGKILL')
  onTestFinished(async () => {
    await stop()
    await lab().host(['iptables', '-D', 'DOCKER-USER', ...RIVAL], { okExitCodes: [1] })
  })
  return { stop, times: () => service.log.match(/^again$/gm)?.length ?? 0 }
}

test('is answered a few times, then named, and nothing gets out', async () => {
  const from = await inside(lab())
  await guard(lab(), { config: CONFIG })
  const repairs = async () => (await scrape(lab())).value('drift_repairs_total', { kind: 'jump' }) ?? 0
  const flood = await steadyFlood(lab(), from)
  const other = rival()
  await lab().waitFor(
    'status names the rule',
    async () => {
      const { code, stdout } = await lab().cli(['status'])
      return code === 4 && /another program.*DOCKER-USER \(IPv4\).*rival/.test(stdout)
    },
    60_000,
  )
  const before = await repairs()
  await sleep(6500)
  const within = (await repairs()) - before
  const leaked = await flood.stop()
  expect(leaked).toBe(0)
  // Every three seconds, not every time.
  expect(within).toBeGreaterThan(0)
  expect(within).toBeLessThanOrEqual(4)
  expect(other.times()).toBeGreaterThan(10)

  await other.stop()
  await lab().waitFor(
    'our jump is first again',
    async () => ((await rulesOf(lab(), 4, 'DOCKER-USER'))[0] ?? '').endsWith('-j EMBARGOD'),
    15_000,
  )
  expect(await fetchPage(from, 'http://203.0.113.12/')).toMatchObject({ code: 0 })
  expect((await fetchPage(from, 'http://203.0.113.66/', { timeoutMs: 1000 })).code).not.toBe(0)
})

test('lets the same flood out where nothing is guarded', async () => {
  const from = await inside(lab())
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  const leaked = await leaksDuring(
    lab(),
    from,
    async () => {
      const other = rival()
      await lab().waitFor('it is first', () => other.times() > 0)
      await other.stop()
    },
    { seconds: 2 },
  )
  expect(leaked).toBeGreaterThan(1000)
})
