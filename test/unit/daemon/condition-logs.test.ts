import { expect, test } from 'vitest'
import { ConditionLogs } from '../../../src/daemon/condition-logs.ts'
import { createLogger } from '../../../src/observe/logger.ts'
import type { Unprotected } from '../../../src/workloads/model.ts'

const web: Unprotected = { reason: 'published-inbound', subject: 'web', advice: 'bind them' }
const tunnel: Unprotected = { reason: 'dns-tunnel', subject: '', advice: 'answer only what is needed' }
const MINUTE = 60_000

test('what is not protected is said when it begins, and of who comes and goes at most once an hour', () => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = new ConditionLogs(createLogger({ level: 'info', pretty: false, destination })).unprotected
  const said = (found: readonly Unprotected[], nowMs: number): unknown[] => {
    lines.length = 0
    log.tell(found, nowMs)
    return lines.map((line) => JSON.parse(line))
  }
  expect(said([tunnel], 0)).toMatchObject([{ level: 'warn', msg: 'not protected', ...tunnel }])
  expect(said([tunnel, web], MINUTE)).toMatchObject([web])
  for (let minute = 2; minute < 60; minute++)
    expect(said(minute % 2 ? [tunnel] : [tunnel, web], minute * MINUTE)).toEqual([])
  expect(said([tunnel], 61 * MINUTE)).toEqual([])
  expect(said([tunnel, web], 62 * MINUTE)).toMatchObject([web])
})

test('a container that leaves by a network without its rights, and one that asks whom it may not, is said once', () => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const logs = new ConditionLogs(createLogger({ level: 'info', pretty: false, destination }))
  const lost = [{ policy: 'mail', network: 'office' }]
  const stray = { container: 'web', network: 'shop', lost }
  const asks = { container: 'web', servers: ['203.0.113.53'] }
  for (const minute of [0, 1, 90]) {
    logs.strayRoutes.tell([stray], minute * MINUTE)
    logs.strayDns.tell([asks], minute * MINUTE)
  }
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 'warn', ...stray },
    { level: 'warn', ...asks },
  ])
  logs.strayRoutes.tell([{ ...stray, network: 'back' }], 91 * MINUTE)
  expect(lines).toHaveLength(3)
})
