import type { Argv } from '../box.ts'
import type { Disturbance, DisturbedHost } from './disturbance.ts'

/** One move of a tool, as its users make it. */
export interface Move {
  readonly argv: Argv
  readonly env?: Readonly<Record<string, string>>
}

/** A tool that lives beside Docker on many hosts: what it needs, what it does in a day, how it goes. */
export interface Tool {
  readonly name: string
  readonly words: string
  /** What shows in the firewall at some time that it did something. */
  readonly sign: string
  /** Puts files in place; what it resolves to are the moves, each followed by a moment in which traffic goes on. */
  prepare(host: DisturbedHost): Promise<readonly Move[]>
  /** Whatever happened before, this takes the tool away. */
  readonly end?: Argv
}

export const shell = (script: string): Move => ({ argv: ['sh', '-ec', script] })

export function disturbance({ name, words, prepare, sign, end }: Tool): Disturbance {
  return {
    name,
    words,
    run: async (host) => {
      const moves = await prepare(host)
      let seen = false
      try {
        for (const { argv, env } of moves) {
          const withEnv: Argv = [
            'env',
            ...Object.entries(env ?? {}).map(([key, value]) => `${key}=${value}`),
            ...argv,
          ]
          await host.lab.host(withEnv, { timeoutMs: 60_000 })
          await host.whole()
          await host.wait(300 + 1000 * host.scale)
          seen ||= (await host.lab.host(['iptables-save'])).stdout.includes(sign)
        }
      } finally {
        if (end) await host.lab.host(end, { okExitCodes: [1, 2, 255], timeoutMs: 60_000 })
      }
      await host.whole()
      if (!seen) throw new Error(`${name} did nothing: there was never a ${sign}`)
    },
  }
}
