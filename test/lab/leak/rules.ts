import type { Disturbance, DisturbedHost } from './disturbance.ts'
import { ForeignRules, type IptablesTool, parentOf, TOOLS } from './foreign.ts'

/** What people and tools do to rules and sets. */
export const RULES: readonly Disturbance[] = [
  rules('flush-docker-user', '`iptables -F DOCKER-USER`', () => ['-F', 'DOCKER-USER']),
  rules('flush-forward', '`iptables -F FORWARD`', () => ['-F', 'FORWARD']),
  rules('flush-filter', '`iptables -F`', () => ['-F']),
  { ...rules('delete-jump', 'our jump deleted', (parent) => ['-D', parent, '1']), ofOurs: true },
  { ...rules('flush-ours', '`iptables -F EMBARGOD`', () => ['-F', 'EMBARGOD']), ofOurs: true },
  {
    name: 'accept-policy',
    words: '`iptables -P FORWARD DROP`, then `ACCEPT`',
    run: (host) =>
      eachFamily(host, async (tool) => {
        await host.lab.host([tool, '-P', 'FORWARD', 'DROP'])
        await host.wait(300)
        await host.lab.host([tool, '-P', 'FORWARD', 'ACCEPT'])
      }),
  },
  {
    name: 'foreign-accept',
    words: 'an `ACCEPT` of everything put above our jump',
    run: (host) =>
      eachFamily(host, async (tool) => {
        const parent = await parentOf(host.lab, tool)
        await host.lab.host([tool, '-I', parent, '1', '-j', 'ACCEPT'])
        try {
          await host.whole()
          await host.wait(300)
        } finally {
          await host.lab.host([tool, '-D', parent, '-j', 'ACCEPT'])
        }
      }),
  },
  {
    name: 'delete-backstop',
    words: '`nft delete table inet embargod-guard`',
    ofOurs: true,
    run: async (host) => {
      await host.lab.host(['nft', 'delete', 'table', 'inet', 'embargod-guard'], { okExitCodes: [1] })
      await host.whole()
    },
  },
]

/** One command on each family, then everything that was not ours put back by its owner. */
function rules(
  name: string,
  words: string,
  command: (parent: string) => readonly [string, ...string[]],
): Disturbance {
  return {
    name,
    words,
    run: async (host) => {
      const foreign = await ForeignRules.remember(host.lab)
      await eachFamily(host, async (tool) => {
        const argv = command(await parentOf(host.lab, tool))
        // Without guards, or without DOCKER-USER for IPv6, there may be nothing to do it to.
        await host.lab.host([tool, ...argv], { okExitCodes: [1] })
        await host.whole()
        await host.wait(300)
        await foreign.restore()
      })
    },
  }
}

async function eachFamily(host: DisturbedHost, work: (tool: IptablesTool) => Promise<void>): Promise<void> {
  for (const tool of TOOLS) {
    await work(tool)
    await host.whole()
  }
}
