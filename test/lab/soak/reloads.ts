import { scrape } from '../scrape.ts'
import type { Action } from './action.ts'
import { NAMES } from './answers.ts'
import type { SoakHost } from './host.ts'
import type { Random } from './random.ts'

/** Its answer never changes, so it is reached exactly while it is in the config. */
const PROBED = 'api.example'
const ENTRIES = [
  PROBED,
  ...NAMES,
  'mail.example:443',
  '{ cidr: 203.0.113.112/29, ports: [80/tcp] }',
  '{ cidr: "2001:db8:f::7000/116" }',
]

/** The config changes, by SIGHUP and by the command, for the better and for the worse. */
export const RELOADS: readonly Action[] = [
  {
    name: 'reload-signal',
    weight: 6,
    run: async (host, random) => {
      change(host, random)
      await host.daemon.hup(host.config)
      await enforced(host)
    },
  },
  {
    name: 'reload-command',
    weight: 4,
    run: async (host, random) => {
      change(host, random)
      await host.lab.embargod.writeConfig(host.config)
      const { code, stderr } = await host.lab.cli(['reload'])
      if (code !== 0) throw new Error(`reload exited with ${code}: ${stderr}`)
      await enforced(host)
    },
  },
  {
    name: 'reload-refused',
    weight: 2,
    run: async (host) => {
      await host.daemon.hup('allow: ["a..b"]\nnonsense: 1')
      await host.lab.waitFor('the config is refused', async () => (await accepted(host)) === 0)
      await enforced(host)
      await host.daemon.hup(host.config)
      await host.lab.waitFor('a good config is taken', async () => (await accepted(host)) === 1)
    },
  },
]

function change({ entries }: SoakHost, random: Random): void {
  for (let changes = 1 + random.below(3); changes > 0; changes -= 1) {
    const entry = random.pick(ENTRIES)
    if (!entries.delete(entry)) entries.add(entry)
  }
}

/** What the config says is what a container finds. */
function enforced(host: SoakHost): Promise<void> {
  const open = host.entries.has(PROBED)
  return host.lab.waitFor(
    `${PROBED} is ${open ? 'reached' : 'closed'}`,
    async () => (await host.reaches(PROBED)) === open,
    20_000,
  )
}

const accepted = async ({ lab }: SoakHost) => (await scrape(lab)).value('config_last_reload_successful')
