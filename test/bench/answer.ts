import { setTimeout as sleep } from 'node:timers/promises'
import { CHANGING, largeSet, startBusyHost } from './busy-host.ts'
import type { Figure } from './figure.ts'
import { processCounter, setQuestions } from './questions.ts'
import { median, told } from './spread.ts'

export const answer: Figure = {
  name: 'answer',
  title: 'One changed answer to the kernel, with 100,000 addresses in the sets',
  method:
    'From the moment at which the name server gets the question whose answer bears a new address, to that address in the set, asked every millisecond. Processes are counted by the numbers that the host gives out to them.',
  async measure({ rounds }) {
    const { lab } = await startBusyHost('bench-answer')
    try {
      const set = await largeSet(lab)
      const holds = await setQuestions(lab)
      const processes = processCounter(lab)
      const delaysMs: number[] = []
      const spawned: number[] = []
      for (let round = 1; round <= 2 * rounds; round++) {
        const address = `203.0.113.${100 + round}`
        await sleep(300)
        await lab.inet.forget()
        const before = await processes()
        await lab.inet.dns({ [CHANGING]: { a: [address], ttl: 1 } })
        const changedAtMs = Date.now()
        const deadlineMs = performance.now() + 20_000
        while (!(await holds(set, address))) {
          if (performance.now() > deadlineMs) throw new Error(`${address} never came\n${await lab.dump()}`)
          await sleep(1)
        }
        const seenAtMs = Date.now()
        // The pass may have something to do behind the set.
        await sleep(100)
        spawned.push((await processes()) - before)
        const asked = (await lab.inet.queries(CHANGING)).find(
          ({ type, atMs }) => type === 'A' && atMs >= changedAtMs,
        )
        if (asked) delaysMs.push(seenAtMs - asked.atMs)
      }
      return [
        { what: 'time', measured: told(delaysMs, 'ms', 0), reach: '≤ 30 ms', met: median(delaysMs) <= 30 },
        { what: 'processes', measured: told(spawned, '', 0), reach: '≤ 2', met: median(spawned) <= 2 },
      ]
    } finally {
      await lab.stop()
    }
  },
}
