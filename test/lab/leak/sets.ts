import type { Lab } from '../lab.ts'
import type { Disturbance } from './disturbance.ts'

const TAKEN_AWAY = 'the kernel reports no change in a set; it is found at the next look, within 5 s'

/** What people do to the sets of allowed addresses. */
export const SETS: readonly Disturbance[] = [
  {
    name: 'flush-sets',
    words: '`ipset flush`',
    ofOurs: true,
    cuts: TAKEN_AWAY,
    run: async (host) => {
      for (const set of await allowedSets(host.lab)) await host.lab.host(['ipset', 'flush', set])
      await host.whole()
    },
  },
  {
    name: 'empty-sets',
    words: 'every address deleted from our sets',
    ofOurs: true,
    cuts: TAKEN_AWAY,
    run: async (host) => {
      for (const set of await allowedSets(host.lab)) {
        const { stdout } = await host.lab.host(['ipset', 'save', set])
        const input = [...stdout.matchAll(/^add (\S+ \S+)/gm)].map(([, what]) => `del ${what}\n`).join('')
        await host.lab.host(['ipset', '-exist', 'restore'], { input })
      }
      await host.whole()
    },
  },
  {
    name: 'swap-sets',
    words: '`ipset rename` of our sets, which the kernel refuses, and `ipset swap` with empty ones',
    ofOurs: true,
    cuts: TAKEN_AWAY,
    run: async (host) => {
      const { lab } = host
      const names = await allowedSets(lab)
      for (const [index, set] of names.entries()) {
        const other = `other-${index}`
        const renamed = await lab.host(['ipset', 'rename', set, other], { okExitCodes: [1] })
        if (renamed.exitCode === 0) throw new Error(`${set} could be renamed, though rules name it`)
        const [create = ''] = (await lab.host(['ipset', 'save', set])).stdout.split('\n')
        await lab.host(['ipset', 'restore'], {
          input: `${create.replace(set, other)}\nswap ${set} ${other}\n`,
        })
      }
      await host.whole()
      for (const index of names.keys()) await lab.host(['ipset', 'destroy', `other-${index}`])
    },
  },
]

async function allowedSets(lab: Lab): Promise<readonly string[]> {
  const { stdout } = await lab.host(['ipset', 'list', '-n'])
  return stdout.split('\n').filter((name) => name.startsWith('embargod-common-'))
}
