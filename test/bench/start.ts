import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Figure } from './figure.ts'
import { ruleEvents } from './kernel-events.ts'
import { HUNDRED_THOUSAND, writeAddresses, writeNames } from './many-addresses.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { median, ratios, told } from './spread.ts'
import { Lab } from '../lab/lab.ts'

/** The last thing that a first pass writes ahead of the second guard: our jumps, of both families. */
const ENFORCED = [/rule ip filter DOCKER-USER .*EMBARGOD/, /rule ip6 filter \S+ .*jump EMBARGOD(\s|$)/]

/** As if embargod had never run here, but faster than any command of its own. */
const FORGET_RULES = `for tool in iptables ip6tables; do $tool-save | grep -v EMBARGOD | $tool-restore; done
nft delete table inet embargod-guard 2>/dev/null || true`

/** The daemon gathers changes for twenty seconds before it saves what it enforces. */
const SAVED_WITHIN_MS = 25_000

/** Ten times a second and in one process: whoever asks takes a processor, and the lock that filling needs. */
const UNTIL_FILLED = `for try in $(seq 600); do
  case "$(ipset list -t)" in *"Number of entries: 100000"*) exit 0;; esac
  sleep 0.1
done
exit 1`

/** Monotonic ms at which the sets held all addresses. */
async function whenFilled(lab: Lab): Promise<number> {
  await lab.host(['sh', '-c', UNTIL_FILLED], { timeoutMs: 90_000 })
  return performance.now()
}

export const start: Figure = {
  name: 'start',
  title: 'Start to enforced with 100,000 persisted addresses',
  method:
    'As after a boot: no sets, no rules, a silent name server. From the start of the process until every address is in its set and the jumps of both families stand, against `ipset restore` of the same set from a file.',
  async measure({ rounds }) {
    await using lab = await Lab.start({ name: 'bench-start' })
    await lab.inet.stopDns()
    const names = await writeNames(lab, HUNDRED_THOUSAND)
    const config = `allow: [{ file: ${names}, ports: [443/tcp] }]`
    const events = await ruleEvents(lab)
    const dump = join(lab.directory, 'sets')
    const clear = async (): Promise<void> => {
      await lab.host(['sh', '-c', FORGET_RULES])
      await lab.host(['ipset', 'destroy'])
    }
    await writeAddresses(lab, HUNDRED_THOUSAND)
    const startDaemon = async (): Promise<number> => {
      events.forget()
      const startedMs = performance.now()
      const daemon = await lab.daemon({ config, wait: false })
      try {
        const seen = await Promise.all(ENFORCED.map((event) => events.first(event)))
        const filledMs = await whenFilled(lab)
        return (Math.max(filledMs, ...seen.map(({ atMs }) => atMs)) - startedMs) / 1000
      } catch (cause) {
        throw new Error(daemon.logs.slice(-4000), { cause })
      } finally {
        await daemon.kill()
      }
    }
    // A life before the boot: what it enforced is what the next one begins with.
    const before = await lab.daemon({ config, wait: false })
    await whenFilled(lab)
    await sleep(SAVED_WITHIN_MS)
    await before.term()
    await lab.host(['sh', '-c', `ipset save >${dump}`])
    const { stdout: elements } = await lab.host(['grep', '-c', '^add embargod-.* comment "n', dump])
    if (Number(elements) !== 100_000) throw new Error(`${elements.trim()} addresses were enforced`)
    await clear()
    const results = await inTurns(
      [
        {
          name: 'embargod',
          turn: async () => {
            const seconds = await startDaemon()
            await clear()
            return seconds
          },
        },
        {
          name: 'ipset restore',
          turn: async () => {
            const startedMs = performance.now()
            await lab.host(['sh', '-c', `ipset restore <${dump}`], { timeoutMs: 60_000 })
            const seconds = (performance.now() - startedMs) / 1000
            await lab.host(['ipset', 'destroy'])
            return seconds
          },
        },
      ],
      rounds,
    )
    events.close()
    const ours = resultsOf(results, 'embargod')
    const bare = resultsOf(results, 'ipset restore')
    const shares = ratios(ours, bare)
    return [
      { what: 'embargod', measured: told(ours, 's') },
      { what: 'ipset restore', measured: told(bare, 's') },
      { what: 'ratio', measured: told(shares, ''), reach: '≤ 1.50', met: median(shares) <= 1.5 },
    ]
  },
}
