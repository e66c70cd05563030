import { setTimeout as sleep } from 'node:timers/promises'
import type { Run } from '../system/exec.ts'
import { acquireLock, AlreadyRunningError, LOCKS, type Lock } from '../system/lock.ts'
import { openCarrier, type Carrier } from './carriers.ts'
import { familyOf, type Address } from '../net/types.ts'
import type { Finding, Target, Trial } from './model.ts'
import { closePorts, openPorts } from './ports.ts'
import { nobodysTarget } from './targets.ts'
import { bridgedFramesAreJudged, enterConnection, quoteOf, WAYS, type Quoted } from './ways.ts'
import { installTable, readTable, removeTable, type Probe, type Sighting } from './table.ts'

/** What is sent by the gateway, and by every other way, in a trial. */
const ROLES = ['forbidden', 'allowed', 'disapproved', 'reserved', 'bridged', 'error'] as const
type Role = (typeof ROLES)[number]

/** No container of the address would use these: nobody has the address. */
const FIRST_SOURCE_PORT = 61_001
/** What was sent is seen at once; on a busy host, or on a port that is not up yet, it is sent again. */
const PATIENCE_MS = [20, 200, 800, 2_000, 4_000]

interface Sent {
  readonly trial: Trial
  readonly role: Role
  readonly target: Target
  readonly probe: Probe
  readonly carrier: Carrier
}

/**
 * Sends what is forbidden, what is allowed, and what is allowed without the approval of the rules, on every place at once, and tells what
 * became of it. One proof at a time on a host; nothing that is sent leaves it.
 * @throws Error when the proof cannot be made: a tool fails, the kernel refuses.
 */
export async function prove(run: Run, trials: readonly Trial[], markBit: number): Promise<Finding[]> {
  if (trials.length === 0) return []
  const lock = await waitForTurn()
  try {
    const judged = await bridgedFramesAreJudged()
    // What a proof that was killed has left stands in the way of this one.
    await closePorts(run)
    const bridges = [...new Set(trials.map(({ place }) => place.bridge))]
    const ports = await openPorts(run, bridges, judged.size > 0)
    const sent: Sent[] = []
    try {
      for (const trial of trials) {
        const port = ports.get(trial.place.bridge)
        if (port)
          for (const one of packetsOf(trial, judged.has(trial.family)))
            sent.push(await prepare(run, one, port, sent.length))
      }
      const seen = sent.length > 0 ? await send(run, sent, markBit) : new Map<string, Sighting>()
      const findings: Finding[] = []
      for (const trial of trials)
        findings.push(
          ...(await judgeTrial(
            run,
            trial,
            sent.filter((one) => one.trial === trial),
            seen,
          )),
        )
      return findings
    } finally {
      for (const { carrier } of sent) carrier.close()
      await closePorts(run)
    }
  } finally {
    await lock.release()
  }
}

/** What a proof leaves when its process is killed. Resolves to whether there was anything. */
export async function removeLeftovers(run: Run): Promise<boolean> {
  const before = await run(['nft', 'list', 'tables'])
  const tables = before.stdout.includes('embargod-verify')
  if (tables) await removeTable(run)
  return (await closePorts(run)) > 0 || tables
}

const TURN_MS = 30_000

async function waitForTurn(): Promise<Lock> {
  const deadlineMs = performance.now() + TURN_MS
  for (;;) {
    try {
      return await acquireLock(LOCKS.proof)
    } catch (error) {
      if (!(error instanceof AlreadyRunningError)) throw error
      if (performance.now() > deadlineMs) throw new Error('another proof is being made', { cause: error })
      await sleep(100)
    }
  }
}

function packetsOf(trial: Trial, bridgedIsJudged: boolean): { trial: Trial; role: Role; target: Target }[] {
  const host = hostAddressOf(trial)
  const nobodys: Target = { ...nobodysTarget(trial.family), protocol: 'udp' }
  const targets: Readonly<Record<Role, Target | undefined>> = {
    forbidden: trial.forbidden,
    allowed: trial.allowed,
    disapproved: trial.allowed,
    reserved: host && { ...nobodys, destination: host },
    bridged: bridgedIsJudged ? nobodys : undefined,
    error: host && nobodys,
  }
  return ROLES.flatMap((role) => {
    const target = targets[role]
    return target ? [{ trial, role, target }] : []
  })
}

/** By which the host itself could have a connection. */
const hostAddressOf = ({ place, family }: Trial): Address | undefined =>
  place.gateways.find((one) => familyOf(one) === family)

async function prepare(
  run: Run,
  packet: Pick<Sent, 'trial' | 'role' | 'target'>,
  port: Probe['port'],
  index: number,
): Promise<Sent> {
  const { trial, role, target } = packet
  const sourcePort = FIRST_SOURCE_PORT + index
  const host = role === 'error' ? hostAddressOf(trial) : undefined
  const quoted: Quoted | undefined = host && { host, peer: target.destination, hostPort: sourcePort }
  if (quoted) await enterConnection(run, quoted)
  const carrier = await openCarrier(target.protocol, trial.family, quoted && quoteOf(quoted))
  const probe: Probe = {
    id: `p${index}`,
    port,
    source: trial.source,
    sourcePort,
    target,
    way: isWay(role) ? role : 'gateway',
    disapproved: role === 'disapproved',
    carrierPort: carrier.port,
  }
  return { ...packet, carrier, probe }
}

async function send(run: Run, sent: readonly Sent[], markBit: number): Promise<Map<string, Sighting>> {
  const probes = sent.map(({ probe }) => probe)
  try {
    await installTable(run, probes, markBit)
    let seen = new Map<string, Sighting>()
    for (const waitMs of PATIENCE_MS) {
      const waiting = sent.filter(({ probe }) => !seen.get(probe.id)?.sent)
      if (waiting.length === 0) break
      for (const { carrier } of waiting) carrier.send()
      await sleep(waitMs)
      seen = await readTable(run, probes)
    }
    return seen
  } finally {
    await removeTable(run)
  }
}

const isWay = (role: Role): role is keyof typeof WAYS => role in WAYS

const NOTHING: Sighting = { sent: 0, behindRules: 0, approved: 0, admitted: 0, atUplink: 0 }

async function judgeTrial(
  run: Run,
  trial: Trial,
  sent: readonly Sent[],
  seen: ReadonlyMap<string, Sighting>,
): Promise<Finding[]> {
  const { network, bridge } = trial.place
  const { forbidden, allowed, family } = trial
  const finding = (what: string, detail: string, problem?: string): Finding => ({
    network,
    what: `IPv${family}, network ${network}: ${what}`,
    passed: problem === undefined,
    detail,
    problem: problem === undefined ? undefined : `${problem} (IPv${family})`,
  })
  const sightingOf = (role: Role): Sighting =>
    seen.get(sent.find((one) => one.role === role)?.probe.id ?? '') ?? NOTHING
  if (sent.length === 0)
    return [finding('a probe can be sent', `there is no bridge ${bridge}`, 'the bridge is gone')]
  const findings: Finding[] = []
  if (forbidden) {
    const sighting = sightingOf('forbidden')
    findings.push(
      finding(
        `forbidden ${say(forbidden)} is stopped by the rules`,
        tell(sighting),
        wrongWithForbidden(sighting),
      ),
    )
  }
  for (const { role } of sent) {
    if (!isWay(role)) continue
    const sighting = sightingOf(role)
    const { words, wrong } = WAYS[role]
    findings.push(finding(words, tell(sighting), sighting.sent === 0 ? NOT_SENT : wrong(sighting)))
  }
  if (!allowed) {
    findings.push(finding('allowed traffic', 'nothing is allowed here, so nothing was tried'))
    return findings
  }
  const passing = sightingOf('allowed')
  if (passing.sent > 0 && passing.behindRules === 0 && !(await hasRoute(run, trial, allowed))) {
    findings.push(finding('allowed traffic', 'the host has no route there, so nothing was tried'))
    return findings
  }
  findings.push(finding(`allowed ${say(allowed)} passes`, tell(passing), wrongWithAllowed(passing)))
  const bare = sightingOf('disapproved')
  findings.push(
    finding(
      `${say(allowed)} without approval is stopped by the backstop`,
      tell(bare),
      wrongWithDisapproved(bare),
    ),
  )
  return findings
}

const NOT_SENT = 'a probe could not be sent'

function wrongWithForbidden({ sent, behindRules, atUplink }: Sighting): string | undefined {
  if (sent === 0) return NOT_SENT
  if (atUplink > 0) return 'nothing stopped a forbidden packet'
  return behindRules > 0 ? 'the rules let a forbidden packet pass' : undefined
}

function wrongWithAllowed({ sent, behindRules, approved, atUplink }: Sighting): string | undefined {
  if (sent === 0) return NOT_SENT
  if (behindRules === 0) return 'an allowed packet did not pass the rules'
  if (approved === 0) return 'the rules did not judge an allowed packet'
  return atUplink > 0 ? undefined : 'an approved packet was stopped behind the rules'
}

function wrongWithDisapproved({ sent, behindRules, atUplink }: Sighting): string | undefined {
  if (sent === 0) return NOT_SENT
  if (behindRules === 0) return 'an allowed packet did not pass the rules'
  return atUplink > 0 ? 'the backstop let a packet pass that nobody approved' : undefined
}

/** Where a network has a family and the host does not, nothing is ever forwarded, whatever the rules say. */
async function hasRoute(run: Run, { source, place }: Trial, { destination }: Target): Promise<boolean> {
  const { exitCode } = await run(['ip', 'route', 'get', destination, 'from', source, 'iif', place.bridge], {
    okExitCodes: [1, 2],
  })
  return exitCode === 0
}

const say = ({ destination, port, protocol }: Target): string => `${destination} port ${port}/${protocol}`

const tell = ({ sent, behindRules, approved, atUplink }: Sighting): string =>
  sent === 0
    ? 'it could not be sent'
    : `${sent} sent, ${behindRules} behind the rules, ${approved} approved, ${atUplink} at the uplink`
