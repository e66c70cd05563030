import { expect, test } from 'vitest'
import { UnprotectedLog } from '../../../src/daemon/unprotected-log.ts'
import { createLogger } from '../../../src/observe/logger.ts'
import type { Unprotected } from '../../../src/workloads/model.ts'

const web: Unprotected = { reason: 'published-inbound', subject: 'web', advice: 'bind them' }
const tunnel: Unprotected = { reason: 'dns-tunnel', subject: '', advice: 'answer only what is needed' }
const MINUTE = 60_000

test('what is not protected is said when it begins, and of who comes and goes at most once an hour', () => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = new UnprotectedLog(createLogger({ level: 'info', pretty: false, destination }))
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
