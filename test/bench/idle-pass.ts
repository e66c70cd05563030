import { setTimeout as sleep } from 'node:timers/promises'
import { CHANGING, startBusyHost } from './busy-host.ts'
import { cpuMs } from './cpu.ts'
import type { Figure } from './figure.ts'
import { passes } from './passes.ts'
import { median, told } from './spread.ts'

/** Triggers in one measurement: CPU time comes in hundredths of a second. */
const TRIGGERS = 10

export const idlePass: Figure = {
  name: 'pass',
  title: 'A pass with nothing to do, 100,000 addresses',
  method:
    'CPU time of the daemon and all that it starts. A rule of somebody else in INPUT is added or removed: the pass reads the rules of that family, finds nothing to do and writes nothing. Between passes: the same count while no pass ran.',
  async measure({ rounds }) {
    const { lab, pid } = await startBusyHost('bench-pass')
    try {
      await lab.inet.dns({ [CHANGING]: { a: ['203.0.113.100'], ttl: 3600 } })
      await sleep(5_000)
      const perPass: number[] = []
      const between: number[] = []
      for (let round = 0; round < rounds; round++) {
        const [cpuBefore, passesBefore] = [cpuMs(pid), await passes(lab)]
        for (let index = 0; index < TRIGGERS; index++) {
          await lab.host(['iptables', index % 2 === 0 ? '-A' : '-D', 'INPUT', '-s', '192.0.2.1'])
          await sleep(300)
        }
        await sleep(300)
        const [cpuAfter, passesAfter] = [cpuMs(pid), await passes(lab)]
        if (passesAfter - passesBefore < TRIGGERS / 2) throw new Error('triggers made no passes')
        perPass.push((cpuAfter - cpuBefore) / (passesAfter - passesBefore))
        between.push(
          ...(await quietSeconds(
            () => cpuMs(pid),
            () => passes(lab),
          )),
        )
      }
      return [
        {
          what: 'CPU a pass',
          measured: told(perPass, 'ms', 1),
          reach: '≤ 60 ms',
          met: median(perPass) <= 60,
        },
        {
          what: 'CPU in a second without a pass',
          measured: told(between, 'ms', 1),
          reach: '0',
          met: median(between) === 0,
        },
      ]
    } finally {
      await lab.stop()
    }
  },
}

/** CPU time of seconds in which no pass ran. */
async function quietSeconds(cpu: () => number, count: () => Promise<number>): Promise<number[]> {
  const quiet: number[] = []
  for (let tries = 0; tries < 3; tries++) {
    // The scrape that counts the passes costs CPU itself: it stays outside.
    const passesBefore = await count()
    await sleep(100)
    const before = cpu()
    await sleep(1_000)
    const used = cpu() - before
    if ((await count()) === passesBefore) quiet.push(used)
  }
  return quiet
}
