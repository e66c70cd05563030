import type { Action, Io } from '../cli/command.ts'
import { EXIT, type ConfigArgs } from '../cli/command.ts'
import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { DEFAULT_MARKS, marksOf } from '../config/marks.ts'
import type { CallDaemon } from '../control/client.ts'
import { askUnlessSilent, type Asking } from '../control/silence.ts'
import { createDrivers } from '../host/drivers.ts'
import { askEngine } from '../workloads/docker/ask-engine.ts'
import { HostView } from '../host/host-view.ts'
import { dockerSocketOf } from './look-up.ts'
import { FAMILIES } from '../net/types.ts'
import { sanitise } from '../observe/sanitise.ts'
import type { ProofFinding, ProofTrial } from '../proof/model.ts'
import { placesUpTo, surveyPlaces, type Untried } from '../proof/places.ts'
import { prove } from '../proof/prove.ts'
import { BACKSTOP_MISSING, outcomeOf, resultsOf, WHOLE_HOST, type ProofOutcome } from '../proof/results.ts'
import { bridgedFramesAreJudged, WAYS } from '../proof/ways.ts'
import type { Run } from '../system/exec.ts'
import { decideInterfaces, type GuardChoice } from '../workloads/guarded.ts'
import type { KernelView } from './judge.ts'
import { trialOf } from './kernel-trials.ts'
import { rememberSets } from './remembered-sets.ts'
import { hookOf } from './ruleset.ts'
import { errorMessage } from '../system/errors.ts'

/** Proves on the live host, with packets of its own, that each guard stops what is forbidden and that what is allowed gets through. */
export const verifyAction =
  (daemon: CallDaemon, run: Run): Action<ConfigArgs> =>
  async ({ config }, io) => {
    const asking = askUnlessSilent(daemon, io.stderr)
    const findings = await proveHost(asking, run, config).catch((error: unknown): ProofFinding[] => [
      failure(`could not be made: ${errorMessage(error)}`),
    ])
    const outcome = outcomeOf(findings)
    tell(io, findings, outcome)
    // A proof that tried nothing does not replace an earlier result.
    if (outcome !== 'skipped')
      await asking.ask('verified', {
        passed: outcome === 'proven',
        atMs: Date.now(),
        networks: resultsOf(findings),
      })
    return outcome === 'proven' ? EXIT.ok : EXIT.unproven
  }

const failure = (detail: string): ProofFinding => ({
  network: WHOLE_HOST,
  what: 'the proof',
  passed: false,
  detail,
  problem: 'the proof could not be made',
})

const GUARD_ALL: GuardChoice = { networks: 'all', except: [], ignoreInterfaces: [] }
/** More networks would take an operator too long. */
const MOST_NETWORKS = 32
/** During a proof the kernel compares every packet of the host with every probe, so only few networks are tried at the same time. */
const AT_A_TIME = 8

/** What is tried follows from what the kernel holds, so this needs neither a daemon nor an accepted config. */
async function proveHost({ ask, isSilent }: Asking, run: Run, configFile: string): Promise<ProofFinding[]> {
  const engine = await askEngine(await dockerSocketOf(ask, configFile))
  const drivers = createDrivers(run)
  const kernel = {
    rules: await drivers.iptables.read(),
    backstop: await drivers.backstop.read(),
    // Packets of a proof are from no container, so no binding is asked.
    bindings: undefined,
  }
  const inPlace = await guardsInPlace(kernel)
  if (!engine)
    return [
      ...inPlace,
      nothingTried('the Docker engine cannot be reached, so no network is known to try it on'),
    ]
  const host = new HostView(run)
  await host.links.read()
  const { config } = await loadConfig(configFile, hostConfigEnv)
  const { inventory } = engine
  const { guarded } = decideInterfaces(inventory, host.interfaces, config?.guard ?? GUARD_ALL)
  const { interfaces } = host
  const { places, untried } = surveyPlaces({ guarded, interfaces, containers: inventory.containers })
  const tried = placesUpTo(places, MOST_NETWORKS)
  const skipped = [
    ...untried,
    ...places
      .filter((place) => !tried.includes(place))
      .map(({ network }) => ({
        network,
        family: undefined,
        why: `no more than ${MOST_NETWORKS} networks are tried at a time`,
      })),
  ].map(skippedNetwork)
  const findings = [...inPlace, ...skipped]
  if (tried.length === 0) {
    const why = guarded.some(({ networkName }) => networkName !== undefined)
      ? 'there is no guarded network with a way out to try it on'
      : 'no network is guarded, so there is none to try it on'
    return [...findings, nothingTried(why)]
  }
  const setting = { inventory, host, kernel, sets: rememberSets(drivers.ipset) }
  for (let first = 0; first < tried.length; first += AT_A_TIME) {
    const trials: ProofTrial[] = []
    for (const place of tried.slice(first, first + AT_A_TIME))
      for (const source of place.sources) trials.push(await trialOf(setting, place, source))
    // A daemon that does not answer may have been stopped in the middle of its own proof.
    const turnMs = isSilent() ? 0 : undefined
    findings.push(...(await prove(run, trials, config ? marksOf(config) : DEFAULT_MARKS, turnMs)))
  }
  return findings
}

const nothingTried = (why: string): ProofFinding => skip(WHOLE_HOST, 'the proof', why)

/** Do both guards stand in both families? */
async function guardsInPlace({ rules, backstop }: KernelView): Promise<ProofFinding[]> {
  const judged = await bridgedFramesAreJudged()
  return [
    ...FAMILIES.map((family): ProofFinding => {
      const hook = hookOf(rules[family])
      return {
        network: WHOLE_HOST,
        what: `IPv${family}: the rules are in the path`,
        passed: hook !== undefined,
        detail: hook ?? 'no jump from DOCKER-USER or FORWARD',
        problem: hook === undefined ? `the rules are not in the path (IPv${family})` : undefined,
      }
    }),
    {
      network: WHOLE_HOST,
      what: 'the backstop is in place',
      passed: backstop !== undefined,
      detail: 'table embargod-guard',
      problem: backstop === undefined ? BACKSTOP_MISSING : undefined,
    },
    ...FAMILIES.filter((family) => !judged.has(family)).map((family) =>
      skip(
        WHOLE_HOST,
        `IPv${family}: ${WAYS.bridged.words}`,
        'frames that are bridged pass no rules on this host (br_netfilter)',
      ),
    ),
  ]
}

const skippedNetwork = ({ network, family, why }: Untried): ProofFinding =>
  skip(network, `${family === undefined ? '' : `IPv${family}, `}network ${network}`, why)

const skip = (network: string, what: string, why: string): ProofFinding => ({
  network,
  what,
  passed: true,
  detail: why,
  skipped: true,
  problem: undefined,
})

const WORDS: Readonly<Record<ProofOutcome, string>> = {
  proven: 'proven',
  failed: 'NOT PROVEN',
  skipped: 'NOT PROVEN: skipped, since nothing could be tried',
}

function tell(io: Io, findings: readonly ProofFinding[], outcome: ProofOutcome): void {
  const paint = (code: number, text: string): string => (io.color ? `\u001B[${code}m${text}\u001B[0m` : text)
  for (const { what, passed: ok, detail, skipped } of findings) {
    const word = skipped ? paint(33, 'skip') : ok ? paint(32, 'ok  ') : paint(31, 'FAIL')
    io.stdout.write(`${word} ${sanitise(what)} (${sanitise(detail)})\n`)
  }
  io.stdout.write(`${WORDS[outcome]}\n`)
}
