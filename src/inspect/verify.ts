import type { Action, Io } from '../cli/command.ts'
import { EXIT, type ConfigArgs } from '../cli/command.ts'
import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { DEFAULT_MARK } from '../config/model.ts'
import type { CallDaemon } from '../control/client.ts'
import { createDrivers, type HostDrivers } from '../host/drivers.ts'
import { askEngine } from '../host/engine-once.ts'
import { HostView } from '../host/host-view.ts'
import { dockerSocketOf } from '../host/look-up.ts'
import { cidrContains } from '../net/cidr.ts'
import { FAMILIES, familyOf, type Address } from '../net/types.ts'
import { sanitise } from '../observe/sanitise.ts'
import type { Finding, Place, Trial } from '../proof/model.ts'
import { choosePlaces, placesOf } from '../proof/places.ts'
import { prove } from '../proof/prove.ts'
import { BACKSTOP_MISSING, resultsOf } from '../proof/results.ts'
import { allowedTarget, forbiddenTarget, nobodysTarget, type Judge } from '../proof/targets.ts'
import type { Run } from '../system/exec.ts'
import { decideInterfaces, type GuardChoice } from '../workloads/guarded.ts'
import type { Inventory } from '../workloads/model.ts'
import { judge, type KernelView } from './judge.ts'
import { hookOf, readChains } from './ruleset.ts'

/** Proves on the live host, with packets of its own, that the forbidden is stopped by each guard and the allowed gets through. */
export const verifyAction =
  (ask: CallDaemon, run: Run): Action<ConfigArgs> =>
  async ({ config }, io) => {
    const findings = await proveHost(ask, run, config).catch((error: unknown): Finding[] => [
      {
        network: '',
        what: 'the proof',
        passed: false,
        detail: `could not be made: ${error instanceof Error ? error.message : String(error)}`,
        problem: 'the proof could not be made',
      },
    ])
    const passed = findings.length > 0 && findings.every((finding) => finding.passed)
    tell(io, findings, passed)
    await ask('verified', { passed, atMs: Date.now(), networks: resultsOf(findings) })
    return passed ? EXIT.ok : EXIT.unproven
  }

const GUARD_ALL: GuardChoice = { networks: 'all', except: [], ignoreInterfaces: [] }

/** What the kernel holds decides what is tried, so that this needs neither a daemon nor a config that is accepted. */
async function proveHost(ask: CallDaemon, run: Run, configFile: string): Promise<Finding[]> {
  const engine = await askEngine(await dockerSocketOf(ask, configFile))
  if (!engine) throw new Error('the Docker engine cannot be reached, so there is no network to try it on')
  const host = new HostView(run)
  await host.readInterfaces()
  const guard = (await loadConfig(configFile, hostConfigEnv)).config?.guard
  const { inventory } = engine
  const { guarded } = decideInterfaces(inventory, host.interfaces, guard ?? GUARD_ALL)
  const places = choosePlaces(
    placesOf({ guarded, interfaces: host.interfaces, containers: inventory.containers }),
  )
  if (places.length === 0) throw new Error('there is no guarded network with a way out to try it on')
  const drivers = createDrivers(run)
  const kernel = {
    rules: await drivers.iptables.read(),
    backstop: await drivers.backstop.read(),
    // What a proof sends is no container's.
    bindings: undefined,
  }
  const trials: Trial[] = []
  for (const place of places)
    for (const source of place.sources)
      trials.push(await trialOf({ place, inventory, host, kernel, drivers }, source))
  const families = new Set(trials.map(({ family }) => family))
  return [
    ...FAMILIES.filter((family) => families.has(family)).map((family): Finding => {
      const hook = hookOf(kernel.rules[family])
      return {
        network: '',
        what: `IPv${family}: the rules are in the path`,
        passed: hook !== undefined,
        detail: hook ?? 'no jump from DOCKER-USER or FORWARD',
        problem: hook === undefined ? `the rules are not in the path (IPv${family})` : undefined,
      }
    }),
    {
      network: '',
      what: 'the backstop is in place',
      passed: kernel.backstop !== undefined,
      detail: 'table embargod-guard',
      problem: kernel.backstop === undefined ? BACKSTOP_MISSING : undefined,
    },
    ...(await prove(run, trials, guard?.mark ?? DEFAULT_MARK)),
  ]
}

interface Setting {
  readonly place: Place
  readonly inventory: Inventory
  readonly host: HostView
  readonly kernel: KernelView
  readonly drivers: HostDrivers
}

async function trialOf(setting: Setting, source: Address): Promise<Trial> {
  const { place, inventory, host, kernel, drivers } = setting
  const family = familyOf(source)
  const verdictOf = judgeFrom(setting, source)
  const forbidden = (await forbiddenTarget(family, verdictOf)) ?? nobodysTarget(family)
  const allowed = await allowedTarget(
    family,
    {
      chains: readChains(kernel.rules[family]),
      elementsOf: async (set) =>
        ((await drivers.ipset.elements([set])).get(set) ?? []).map(({ element }) => element),
      leaves: (address) =>
        !host.isHostAddress(address) &&
        !inventory.networks.some(({ subnets }) => subnets.some((subnet) => cidrContains(subnet, address))),
    },
    verdictOf,
  )
  return { place, family, source, forbidden, allowed }
}

function judgeFrom({ place, inventory, host, kernel, drivers }: Setting, source: Address): Judge {
  const network = inventory.networks.find(({ bridge }) => bridge === place.bridge)
  if (!network) throw new Error(`the network ${place.network} is gone`)
  const way = { network, bridge: place.bridge, addresses: [source], routes: FAMILIES }
  return (target) =>
    judge(
      {
        source: { kind: 'bridge', name: network.name, ways: [way] },
        ...target,
        kernel,
        networks: inventory.networks,
        isHostAddress: host.isHostAddress,
      },
      drivers.ipset,
    )
}

function tell(io: Io, findings: readonly Finding[], passed: boolean): void {
  const paint = (code: number, text: string): string => (io.color ? `\u001B[${code}m${text}\u001B[0m` : text)
  for (const { what, passed: ok, detail } of findings) {
    io.stdout.write(`${ok ? paint(32, 'ok  ') : paint(31, 'FAIL')} ${sanitise(what)} (${sanitise(detail)})\n`)
  }
  io.stdout.write(passed ? 'proven\n' : 'NOT PROVEN\n')
}
