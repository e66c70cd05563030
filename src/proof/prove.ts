import { setTimeout as sleep } from 'node:timers/promises'
import type { MarkLayout } from '../config/marks.ts'
import type { Run } from '../system/exec.ts'
import { acquireLock, AlreadyRunningError, LOCKS, type Lock } from '../system/lock.ts'
import { openCarrier, type Carrier } from './carriers.ts'
import { familyOf, type Address } from '../net/types.ts'
import { bridgeWent, judgeTrial } from './findings.ts'
import { untilQueueIsEmpty } from './queue.ts'
import type { ProofFinding, ProbeTarget, ProofTrial } from './model.ts'
import { closePorts, openPorts, stillStanding } from './ports.ts'
import { nobodysTarget } from './targets.ts'
import {
  bridgedFramesAreJudged,
  enterConnection,
  isWay,
  quoteOf,
  ROLES,
  type Pretended,
  type Role,
} from './ways.ts'
import { installTable, readTable, removeTable, type Probe, type Sighting } from './table.ts'

/** Source ports of probes. They clash with no container, since no container has the source address. */
const FIRST_SOURCE_PORT = 61_001
/** A probe is seen at once as a rule; on a busy host, or on a port that is not up yet, it is sent again after these times. */
const PATIENCE_MS = [20, 200, 800, 2_000, 4_000]

interface Sent {
  readonly trial: ProofTrial
  readonly role: Role
  readonly target: ProbeTarget
  readonly probe: Probe
  readonly carrier: Carrier
}

/**
 * Sends forbidden packets, allowed packets, and allowed packets without the approval of the rules, in every place at once, and reports what became
 * of them. Only one proof runs on a host at a time, and no packet leaves the host.
 * @param turnMs how long another proof is waited for
 * @throws Error when the proof cannot be made: a tool fails, the kernel refuses.
 */
export async function prove(
  run: Run,
  trials: readonly ProofTrial[],
  marks: MarkLayout,
  turnMs = TURN_MS,
): Promise<ProofFinding[]> {
  if (trials.length === 0) return []
  const lock = await waitForTurn(turnMs)
  try {
    const judged = await bridgedFramesAreJudged()
    // The leftovers of a proof that was killed would get in the way of this one.
    await closePorts(run)
    const bridges = [...new Set(trials.map(({ place }) => place.bridge))]
    const sent: Sent[] = []
    try {
      const ports = await openPorts(run, bridges, judged.size > 0)
      for (const trial of trials) {
        const port = ports.get(trial.place.bridge)
        if (port)
          for (const one of packetsOf(trial, judged.has(trial.family)))
            sent.push(await prepare(run, one, port, sent.length))
      }
      const seen = sent.length > 0 ? await send(run, sent, marks) : new Map<string, Sighting>()
      const standing = await stillStanding(run, ports)
      const findings: ProofFinding[] = []
      for (const trial of trials)
        if (standing.has(trial.place.bridge)) {
          const own = sent.filter((one) => one.trial === trial)
          findings.push(...(await judgeTrial(run, trial, own, seen)))
        } else findings.push(bridgeWent(trial))
      return findings
    } finally {
      for (const { carrier } of sent) carrier.close()
      await closePorts(run)
    }
  } finally {
    await lock.release()
  }
}

/** Removes what a proof has left whose process was killed. Resolves to whether there was anything. */
export async function removeLeftovers(run: Run): Promise<boolean> {
  const before = await run(['nft', 'list', 'tables'])
  const tables = before.stdout.includes('embargod-verify')
  if (tables) await removeTable(run)
  return (await closePorts(run)) > 0 || tables
}

const TURN_MS = 30_000

async function waitForTurn(turnMs: number): Promise<Lock> {
  const deadlineMs = performance.now() + turnMs
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

function packetsOf(
  trial: ProofTrial,
  bridgedIsJudged: boolean,
): { trial: ProofTrial; role: Role; target: ProbeTarget }[] {
  const host = hostAddressOf(trial)
  const nobodys: ProbeTarget = { ...nobodysTarget(trial.family), protocol: 'udp' }
  const targets: Readonly<Record<Role, ProbeTarget | undefined>> = {
    forbidden: trial.forbidden,
    allowed: trial.allowed,
    disapproved: trial.allowed,
    reply: trial.allowed ? undefined : nobodys,
    reserved: host && { ...nobodys, destination: host },
    bridged: bridgedIsJudged ? nobodys : undefined,
    error: host && nobodys,
  }
  return ROLES.flatMap((role) => {
    const target = targets[role]
    return target ? [{ trial, role, target }] : []
  })
}

/** The host's own address on the bridge, from which it could have a connection. */
const hostAddressOf = ({ place, family }: ProofTrial): Address | undefined =>
  place.gateways.find((one) => familyOf(one) === family)

async function prepare(
  run: Run,
  packet: Pick<Sent, 'trial' | 'role' | 'target'>,
  port: Probe['port'],
  index: number,
): Promise<Sent> {
  const { trial, role, target } = packet
  const sourcePort = FIRST_SOURCE_PORT + index
  const { destination: peer, port: peerPort } = target
  const host = role === 'error' ? hostAddressOf(trial) : undefined
  const quoted: Pretended | undefined = host && {
    from: host,
    fromPort: sourcePort,
    to: peer,
    toPort: peerPort,
  }
  if (quoted) await enterConnection(run, quoted)
  if (role === 'reply')
    await enterConnection(run, { from: peer, fromPort: peerPort, to: trial.source, toPort: sourcePort })
  const carrier = await openCarrier(target.protocol, trial.family, quoted && quoteOf(quoted))
  const probe: Probe = {
    id: `p${index}`,
    port,
    source: trial.source,
    sourcePort,
    target,
    way: isWay(role) ? role : 'gateway',
    disapproved: role === 'disapproved' || role === 'reply',
    passesRules: role === 'reply',
    carrierPort: carrier.port,
  }
  return { ...packet, carrier, probe }
}

async function send(run: Run, sent: readonly Sent[], marks: MarkLayout): Promise<Map<string, Sighting>> {
  const probes = sent.map(({ probe }) => probe)
  try {
    await installTable(run, probes, marks)
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
    await untilQueueIsEmpty()
    await removeTable(run)
  }
}
