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
import { FAMILIES, familyOf, type Address, type Family } from '../net/types.ts'
import { sanitise } from '../observe/sanitise.ts'
import type { Run } from '../system/exec.ts'
import type { Inventory, Network } from '../workloads/model.ts'
import { judge, type KernelView } from './judge.ts'
import { freeAddress, ProbeEndpoint } from './probe-endpoint.ts'
import { ProbeCounters, type Probe, type Sighting } from './probe-counters.ts'
import { hookOf } from './ruleset.ts'
import { allowedTarget, forbiddenTarget, NOBODYS_TARGET, type Target } from './targets.ts'

/** One thing that was tried. */
interface Finding {
  readonly what: string
  readonly passed: boolean
  readonly detail: string
}

/** Proves on the live host, with packets of its own, that the forbidden is stopped by each guard and the allowed gets through. */
export const verifyAction =
  (ask: CallDaemon, run: Run, pid: number): Action<ConfigArgs> =>
  async ({ config }, io) => {
    const findings = await prove(ask, run, pid, config).catch((error: unknown): Finding[] => [
      {
        what: 'the proof',
        passed: false,
        detail: `could not be made: ${error instanceof Error ? error.message : String(error)}`,
      },
    ])
    const passed = findings.length > 0 && findings.every((finding) => finding.passed)
    tell(io, findings, passed)
    await ask('verified', { passed, atMs: Date.now() })
    return passed ? EXIT.ok : EXIT.unproven
  }

async function prove(ask: CallDaemon, run: Run, pid: number, configFile: string): Promise<Finding[]> {
  const engine = await askEngine(await dockerSocketOf(ask, configFile))
  if (!engine) throw new Error('the Docker engine cannot be reached, so there is no network to try it on')
  const host = new HostView(run)
  await host.readInterfaces()
  const config = (await loadConfig(configFile, hostConfigEnv)).config
  const network = provable(engine.inventory, host)
  if (!network) throw new Error('there is no bridge network with a way out to try it on')
  const drivers = createDrivers(run)
  const kernel = { rules: await drivers.iptables.read(), backstop: await drivers.backstop.read() }
  const markBit = config?.guard.mark ?? DEFAULT_MARK
  const findings: Finding[] = []
  for (const family of FAMILIES) {
    const source = sourceOn(network, family, engine.inventory, host)
    if (source)
      findings.push(
        ...(await proveFamily({ run, pid, network, source, kernel, drivers, host, markBit }, family)),
      )
  }
  return findings
}

/** The default bridge if it is there: else the first network whose bridge stands and leads out. */
function provable({ networks }: Inventory, host: HostView): Network | undefined {
  const standing = networks.filter(
    ({ bridge, internal, subnets }) =>
      bridge !== undefined &&
      !internal &&
      subnets.length > 0 &&
      host.interfaces.some(({ name }) => name === bridge),
  )
  return standing.find(({ bridge }) => bridge === 'docker0') ?? standing[0]
}

interface ProbeSource {
  readonly address: Address
  readonly prefix: number
  readonly gateway: Address
}

function sourceOn(
  network: Network,
  family: Family,
  inventory: Inventory,
  host: HostView,
): ProbeSource | undefined {
  const taken = new Set<Address>([
    ...network.gateways,
    ...host.interfaces.flatMap(({ addresses }) => addresses),
    ...inventory.containers.flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses)),
  ])
  const subnet = network.subnets.find((one) => familyOf(one) === family)
  const bridge = host.interfaces.find(({ name }) => name === network.bridge)
  const gateway = bridge?.addresses.find(
    (address) => familyOf(address) === family && !address.startsWith('fe80:'),
  )
  const free = subnet && freeAddress(subnet, taken)
  return free && gateway ? { address: free.address, prefix: free.prefix, gateway } : undefined
}

interface Setting {
  readonly run: Run
  readonly pid: number
  readonly network: Network
  readonly source: ProbeSource
  readonly kernel: KernelView
  readonly drivers: HostDrivers
  readonly host: HostView
  readonly markBit: number
}

async function proveFamily(setting: Setting, family: Family): Promise<Finding[]> {
  const { run, pid, network, source, kernel, drivers, markBit } = setting
  const on = `IPv${family}, network ${network.name}`
  const findings: Finding[] = [
    {
      what: `${on}: the rules are in the path`,
      passed: hookOf(kernel.rules[family]) !== undefined,
      detail: hookOf(kernel.rules[family]) ?? 'no jump from DOCKER-USER or FORWARD',
    },
    {
      what: `${on}: the backstop is in place`,
      passed: kernel.backstop !== undefined,
      detail: 'table embargod-guard',
    },
  ]
  const judged = (target: Target) => judgeFrom(setting, target)
  const forbidden = await forbiddenTarget(family, judged)
  const allowed = await allowedTarget(family, kernel, drivers.ipset, judged)
  const probeOf = (id: string, target: Target, disapproved: boolean): Probe => ({
    id,
    source: source.address,
    ...target,
    disapproved,
  })
  const endpoint = await ProbeEndpoint.open(run, network.bridge ?? '', [source], pid)
  try {
    const denied = probeOf('forbidden', forbidden ?? NOBODYS_TARGET[family], false)
    const seen = await tryProbe(run, endpoint, denied, markBit)
    findings.push({
      what: `${on}: forbidden ${describe(denied)} is stopped by the rules`,
      passed: seen.sent > 0 && seen.behindRules === 0 && seen.atUplink === 0,
      detail: count(seen),
    })
    if (allowed) {
      const passing = await tryProbe(run, endpoint, probeOf('allowed', allowed, false), markBit)
      findings.push({
        what: `${on}: allowed ${describe(allowed)} passes`,
        passed: passing.atUplink > 0,
        detail: count(passing),
      })
      const bare = await tryProbe(run, endpoint, probeOf('disapproved', allowed, true), markBit)
      findings.push({
        what: `${on}: ${describe(allowed)} without approval is stopped by the backstop`,
        passed: bare.behindRules > 0 && bare.atUplink === 0,
        detail: count(bare),
      })
    }
  } finally {
    await endpoint.close()
  }
  if (!allowed)
    findings.push({
      what: `${on}: allowed traffic`,
      passed: true,
      detail: 'nothing is allowed here, so nothing was tried',
    })
  return findings
}

const describe = ({ destination, port, protocol }: Target): string =>
  `${destination} port ${port}/${protocol}`

const count = ({ sent, behindRules, atUplink }: Sighting): string =>
  `${sent} sent, ${behindRules} behind the rules, ${atUplink} at the uplink`

async function judgeFrom({ network, source, kernel, host, drivers }: Setting, target: Target) {
  return judge(
    {
      source: {
        kind: 'bridge',
        name: network.name,
        ways: [
          {
            network,
            bridge: network.bridge ?? '',
            addresses: [source.address],
            routes: FAMILIES,
          },
        ],
      },
      ...target,
      kernel,
      networks: [network],
      isHostAddress: host.isHostAddress,
    },
    drivers.ipset,
  )
}

/** On a busy host the sender may be out of time before it sends: then again, with more of it. */
const PATIENCE_SECONDS = [0.6, 1.5, 4, 8]

async function tryProbe(run: Run, endpoint: ProbeEndpoint, probe: Probe, markBit: number): Promise<Sighting> {
  const counters = await ProbeCounters.install(run, [probe], markBit)
  try {
    let seen: Sighting = { sent: 0, behindRules: 0, atUplink: 0 }
    for (const seconds of PATIENCE_SECONDS) {
      await endpoint.send(probe.protocol, probe.destination, probe.port, seconds)
      seen = await counters.read(probe)
      if (seen.sent > 0) break
    }
    return seen
  } finally {
    await counters.remove()
  }
}

function tell(io: Io, findings: readonly Finding[], passed: boolean): void {
  const paint = (code: number, text: string): string => (io.color ? `\u001B[${code}m${text}\u001B[0m` : text)
  for (const { what, passed: ok, detail } of findings) {
    io.stdout.write(`${ok ? paint(32, 'ok  ') : paint(31, 'FAIL')} ${sanitise(what)} (${sanitise(detail)})\n`)
  }
  io.stdout.write(passed ? 'proven\n' : 'NOT PROVEN\n')
}
