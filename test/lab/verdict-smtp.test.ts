import { describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { useLab } from './shared-lab.ts'

/** Mail leaves within a budget, and only where the policy says. */
const lab = useLab({ name: 'smtp' })

const MAIL = '203.0.113.25'
const MAIL6 = '2001:db8:f::25'
const ELSEWHERE = '203.0.113.26'

const config = (smtp: string) => `
allow: [{ cidr: ${MAIL}/32, ports: [25/tcp, 465/tcp, 587/tcp] }, { cidr: '${MAIL6}/128', ports: [25/tcp] }]
smtp: ${smtp}
`

/** Connections one after the other; how many got the server's greeting. */
async function mails(from: LabContainer, count: number, to = MAIL, port = 25): Promise<number> {
  const each = `echo QUIT | nc -w 1 ${to} ${port} | grep -c ^220`
  const script = `i=0; while [ $i -lt ${count} ]; do (${each}) & i=$((i+1)); sleep 0.3; done; wait`
  const { stdout } = await from.exec(['sh', '-c', script], { timeoutMs: 60_000 })
  return stdout.split('\n').filter((line) => line === '1').length
}

const visitsOf = async (to: string): Promise<number> =>
  (await lab().inet.visits()).filter((visit) => visit.to === to).length

async function underGuard(smtp: string, task: () => Promise<void>): Promise<void> {
  const daemon = await lab().daemon({ config: config(smtp) })
  try {
    await lab().inet.forget()
    await task()
  } finally {
    await daemon.term()
  }
}

test('without the guard all twelve mails leave', async () => {
  const from = await lab().container()
  await lab().inet.forget()
  expect(await mails(from, 12)).toBe(12)
  expect(await mails(from, 12, MAIL6)).toBe(12)
  expect(await visitsOf(MAIL)).toBe(12)
  await from.stop()
})

describe('five a minute', () => {
  test('for each container, over all mail ports together', async () => {
    const [one, two] = [await lab().container(), await lab().container()]
    await underGuard('{ rate: 5/minute, burst: 5 }', async () => {
      const startedMs = Date.now()
      const first = await mails(one, 12)
      // A token comes back every 12 seconds: on a slow machine the twelve mails may take that long.
      const regained = Math.ceil((Date.now() - startedMs) / 12_000)
      expect(first).toBeGreaterThanOrEqual(5)
      expect(first).toBeLessThanOrEqual(5 + regained - (regained === 1 ? 1 : 0))
      expect(await visitsOf(MAIL)).toBe(first)
      expect(await mails(one, 2, MAIL, 587), 'another mail port, the budget is spent').toBeLessThanOrEqual(1)
      expect(await mails(two, 5), 'the second container has a budget of its own').toBe(5)
      expect(await mails(one, 5, MAIL6), 'and each family').toBe(5)
      expect(await mails(one, 2, MAIL6)).toBeLessThanOrEqual(1)
    })
    await Promise.all([one.stop(), two.stop()])
  })

  test('for the host: one budget for all', async () => {
    const [one, two] = [await lab().container(), await lab().container()]
    await underGuard('{ rate: 5/hour, burst: 5, per: host }', async () => {
      expect(await mails(one, 3)).toBe(3)
      expect(await mails(two, 6)).toBe(2)
      expect(await mails(one, 2)).toBe(0)
    })
    await Promise.all([one.stop(), two.stop()])
  })

  test('a hundred an hour may come at once, unless the config says otherwise', async () => {
    const from = await lab().container()
    await underGuard('{ rate: 100/hour }', async () => {
      expect(await mails(from, 12)).toBe(12)
    })
    // The kernel refuses a rule that counts more than a day's worth.
    await underGuard('{ rate: 1/day, burst: 5 }', async () => {
      expect(await mails(from, 3)).toBe(1)
    })
    await from.stop()
  })

  test('within the budget, to allowed servers only', async () => {
    const from = await lab().container()
    await underGuard('{ rate: 5/hour, burst: 5, destinations: allowed }', async () => {
      await lab().farEnd.reset()
      expect(await mails(from, 2, ELSEWHERE)).toBe(0)
      expect(await lab().farEnd.count(ELSEWHERE)).toBe(0)
      expect(await mails(from, 1)).toBe(1)
    })
    await from.stop()
  })

  test('to anyone, where the operator says so, and that is told', async () => {
    const from = await lab().container()
    await underGuard('{ rate: 5/day, burst: 5, destinations: any }', async () => {
      expect(await mails(from, 8, ELSEWHERE)).toBe(5)
      expect(await visitsOf(ELSEWHERE)).toBe(5)
      const { stdout } = await lab().cli(['status', '--json'])
      const { unprotected }: { unprotected: { reason: string }[] } = JSON.parse(stdout)
      expect(unprotected.map(({ reason }) => reason)).toContain('smtp-any')
    })
    await from.stop()
  })
})

test('without an smtp section mail is as any other port', async () => {
  const from = await lab().container()
  const daemon = await lab().daemon({ config: `allow: [{ cidr: ${MAIL}/32, ports: [25/tcp] }]` })
  await lab().inet.forget()
  expect(await mails(from, 12)).toBe(12)
  expect(await mails(from, 2, ELSEWHERE)).toBe(0)
  await daemon.term()
  await from.stop()
})
