import { expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { steadyFlood } from './leaks.ts'
import { scrape } from './scrape.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** A policy is switched in one step, or not at all; what was counted stays counted. */
const lab = useLab({ name: 'reload' })

const quick = 'resolver: { refresh: { min: 1s, max: 2s } }'
const policy = (...names: string[]) => [quick, 'allow:', ...names.map((name) => `  - ${name}`)].join('\n')

const reaches = async (from: LabContainer, url: string): Promise<boolean> =>
  (await fetchPage(from, url, { timeoutMs: 1500, family: 4 })).code === 0

test('SIGHUP and reload switch the policy; a bad file changes nothing and says everything', async () => {
  const from = await inside(lab())
  const daemon = await guard(lab(), { config: policy('allowed.example') })
  expect(await reaches(from, 'http://allowed.example/')).toBe(true)
  expect(await reaches(from, 'http://api.example/')).toBe(false)

  await daemon.hup(policy('api.example'))
  await lab().waitFor('SIGHUP lets the new name in', () => reaches(from, 'http://api.example/'))
  expect(await reaches(from, 'http://allowed.example/')).toBe(false)

  await lab().embargod.writeConfig(policy('allowed.example'))
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
  await lab().waitFor('reload lets the first name in again', () => reaches(from, 'http://allowed.example/'))
  expect(await reaches(from, 'http://api.example/')).toBe(false)

  const bad = 'allow: [api.example, "a..b"]\nnever: [nonsense]\nfoo: 1'
  await lab().embargod.writeConfig(bad)
  const refused = await lab().cli(['reload'])
  expect(refused.code).toBe(2)
  for (const culprit of ['a..b', 'nonsense', 'foo'])
    expect(refused.stdout + refused.stderr).toContain(culprit)
  expect((await scrape(lab())).value('config_last_reload_successful')).toBe(0)
  expect(await lab().cli(['status'])).toMatchObject({ code: 4 })
  expect(await reaches(from, 'http://allowed.example/')).toBe(true)
  expect(await reaches(from, 'http://api.example/')).toBe(false)

  const before = daemon.logs.length
  await daemon.hup(bad)
  await lab().waitFor('SIGHUP logs every problem', () =>
    ['a..b', 'nonsense', 'foo'].every((culprit) =>
      daemon.logs
        .slice(before)
        .split('\n')
        .some((line) => line.includes('config refused') && line.includes(culprit)),
    ),
  )
  expect(await reaches(from, 'http://allowed.example/')).toBe(true)

  await daemon.hup(policy('allowed.example'))
  await lab().waitFor('a good file heals', async () => (await lab().cli(['status'])).code === 0)
  expect((await scrape(lab())).value('config_last_reload_successful')).toBe(1)
})

test('a reload says whether it changed anything', async () => {
  await guard(lab(), { config: policy('allowed.example') })
  const said = async (yaml: string): Promise<string> => {
    await lab().embargod.writeConfig(yaml)
    return (await lab().cli(['reload'])).stdout
  }
  expect(await said(`# moved\n${policy('allowed.example')}`)).toBe('reloaded; nothing changed\n')
  const services = `${policy('allowed.example')}\nguard: { hostServices: [9100/tcp] }`
  expect(await said(services)).toBe(
    'reloaded\nguard.hostServices.published: true -> false\nguard.hostServices.ports: icmp -> 9100/tcp\n',
  )
  expect(await said(services)).toBe('reloaded; nothing changed\n')
})

test('nothing slips through while the policy is switched twenty times', async () => {
  const from = await inside(lab())
  await guard(lab(), { config: policy('allowed.example') })
  // For as long as it takes: twenty reloads are slow on a slow machine.
  const flood = await steadyFlood(lab(), from)
  for (let round = 0; round < 10; round += 1) {
    await lab().embargod.writeConfig(policy('allowed.example', 'api.example'))
    expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
    await lab().embargod.writeConfig(policy('allowed.example'))
    expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
  }
  expect(await flood.stop()).toBe(0)
})

test('counters never go backwards: not over a reload, nor drift, nor a restart, nor a crash', async () => {
  const from = await inside(lab())
  let daemon = await guard(lab(), { config: policy('allowed.example') })
  const counters = [
    'rule_packets_total',
    'rule_bytes_total',
    'denied_packets_total',
    'domain_connections_total',
  ]
  const now = async () => {
    const page = await scrape(lab())
    return counters.map((name) => page.series(name))
  }
  const denied = async () => (await scrape(lab())).value('denied_packets_total', { reason: 'policy' }) ?? 0
  const connections = async () =>
    (await scrape(lab())).value('domain_connections_total', { domain: 'allowed.example' }) ?? 0

  const traffic = async () => {
    for (let visit = 0; visit < 5; visit += 1)
      expect(await reaches(from, 'http://allowed.example/')).toBe(true)
    await reaches(from, 'http://203.0.113.66/')
  }
  const [deniedBefore, connectionsBefore] = [await denied(), await connections()]
  await traffic()
  await lab().waitFor(
    'the packets are counted',
    async () => (await denied()) > deniedBefore && (await connections()) >= connectionsBefore + 5,
    40_000,
  )
  let last = await now()
  const stillUp = async (what: string) => {
    const current = await now()
    last.forEach((series, index) => {
      for (const [labels, value] of series) {
        const found = current[index]?.get(labels)

        expect(found ?? 0, `${counters[index]}${labels} after ${what}`).toBeGreaterThanOrEqual(value)
      }
    })
    last = current
  }

  await lab().embargod.writeConfig(policy('allowed.example', 'api.example'))
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
  await stillUp('a reload')
  await lab().host(['iptables', '-F', 'EMBARGOD-JUDGE'])
  await lab().waitFor(
    'the flushed chain is repaired',
    async () => ((await scrape(lab())).value('drift_repairs_total') ?? 0) > 0,
  )
  await stillUp('a repair')
  await traffic()
  await daemon.term()
  daemon = await guard(lab(), { config: policy('allowed.example', 'api.example') })
  await stillUp('a restart')
  await traffic()
  await daemon.kill()
  daemon = await guard(lab(), { config: policy('allowed.example', 'api.example') })
  await stillUp('a crash')
})
