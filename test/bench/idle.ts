import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMs, rssMb, treeOf } from './cpu.ts'
import type { Figure } from './figure.ts'
import { scriptsOf, writeNames, type ManyNames } from './many-addresses.ts'
import { Lab } from '../lab/lab.ts'

const NAMES: ManyNames = { names: 1_000, addresses: 2 }

export const idle: Figure = {
  name: 'idle',
  title: 'Idle with 1,000 names at TTL 60',
  method:
    'Resident memory of the daemon at the end, and CPU time of the daemon and all that it starts, over more than a minute, after as long to settle: every name is asked at least once in it.',
  async measure({ idleSeconds }) {
    await using lab = await Lab.start({ name: 'bench-idle' })
    await lab.inet.dns(scriptsOf(NAMES, 60))
    const names = await writeNames(lab, NAMES)
    const { pid } = await lab.daemon({ config: `allow: [{ file: ${names}, ports: [443/tcp] }]` })
    if (pid === undefined) throw new Error('the daemon has ended')
    const filled = async (): Promise<boolean> =>
      /Number of entries: 2000\n/.test((await lab.host(['ipset', 'list', '-t'])).stdout)
    await lab.waitFor('the kernel holds every address', filled, 60_000)
    // The compiler of a young process works on whatever it has seen a few times.
    await sleep(idleSeconds * 1000)
    await lab.inet.forget()
    const [before, startedMs] = [cpuMs(pid), performance.now()]
    await sleep(idleSeconds * 1000)
    const share = ((cpuMs(pid) - before) / (performance.now() - startedMs)) * 100
    const questions = (await lab.inet.queries()).length
    const daemonMb = rssMb(pid)
    const childrenMb = treeOf(pid)
      .slice(1)
      .reduce((sum, child) => sum + rssMb(child), 0)
    return [
      {
        what: 'memory',
        measured: `${daemonMb.toFixed(0)} MB (its monitors: ${childrenMb.toFixed(0)} MB)`,
        reach: '≤ 110 MB',
        met: daemonMb <= 110,
      },
      {
        what: 'CPU',
        measured: `${share.toFixed(2)} % of a core over ${idleSeconds} s with ${questions} questions`,
        reach: '≤ 1 %',
        met: share <= 1,
      },
    ]
  },
}
