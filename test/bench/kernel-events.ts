import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Argv } from '../lab/box.ts'
import type { Lab } from '../lab/lab.ts'

export interface KernelEvent {
  /** By `performance.now()`, when the line was read. */
  readonly atMs: number
  readonly line: string
}

/** What a monitor (`nft monitor`, `ip monitor link`) tells in the lab's host, as it happens. Costs the host nothing while nothing happens. */
export class KernelEvents {
  #events: KernelEvent[] = []
  #waiters: (() => void)[] = []

  private constructor(private readonly child: ChildProcess) {
    if (!child.stdout) throw new Error('a monitor without output')
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#events.push({ atMs: performance.now(), line })
      for (const wake of this.#waiters.splice(0)) wake()
    })
  }

  /** Returns when `probe`, which has to cause an event, was seen to: only then nothing is missed. */
  static async open(lab: Lab, argv: Argv, probe: () => Promise<unknown>): Promise<KernelEvents> {
    const [file, ...args] = lab.hostBox.enter(argv)
    const events = new KernelEvents(spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] }))
    for (let tries = 0; events.#events.length === 0; tries++) {
      if (tries > 50) throw new Error(`${argv.join(' ')} tells nothing`)
      await probe()
      await events.#next(100)
    }
    return events
  }

  forget(): void {
    this.#events = []
  }

  /** The first event of this kind, which may have happened already. */
  async first(wanted: RegExp, timeoutMs = 60_000): Promise<KernelEvent> {
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      const found = this.#events.find(({ line }) => wanted.test(line))
      if (found) return found
      if (performance.now() > deadlineMs) throw new Error(`no kernel event like ${wanted} in ${timeoutMs} ms`)
      await this.#next(100)
    }
  }

  close(): void {
    this.child.kill('SIGKILL')
  }

  #next(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#waiters.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** The host's rules as they change. */
export const ruleEvents = (lab: Lab): Promise<KernelEvents> =>
  KernelEvents.open(lab, ['nft', 'monitor'], async () => {
    await lab.host(['nft', 'add table inet bench-probe'])
    await lab.host(['nft', 'delete table inet bench-probe'])
  })

/** The host's interfaces as they come and go. */
export const linkEvents = (lab: Lab): Promise<KernelEvents> =>
  KernelEvents.open(lab, ['ip', '-oneline', 'monitor', 'link'], async () => {
    await lab.host(['ip', 'link', 'add', 'bench-probe', 'type', 'veth'])
    await lab.host(['ip', 'link', 'del', 'bench-probe'])
  })
