import type { Run } from '../system/exec.ts'
import type { ProofFinding, ProbeTarget, ProofTrial } from './model.ts'
import type { Probe, Sighting } from './table.ts'
import { isWay, WAYS, type Role } from './ways.ts'

const NOTHING: Sighting = { sent: 0, behindRules: 0, approved: 0, admitted: 0, atUplink: 0 }

/** Packets to a bridge that is being removed are lost, which says nothing about the rules. */
export const bridgeWent = ({ place: { network, bridge }, family }: ProofTrial): ProofFinding => ({
  network,
  what: `IPv${family}, network ${network}`,
  passed: true,
  detail: `its bridge ${bridge} went while it was tried`,
  skipped: true,
  problem: undefined,
})

/** What came of the packets of one trial, and what is wrong with that. */
export async function judgeTrial(
  run: Run,
  trial: ProofTrial,
  sent: readonly { readonly role: Role; readonly probe: Pick<Probe, 'id'> }[],
  seen: ReadonlyMap<string, Sighting>,
): Promise<ProofFinding[]> {
  const { network } = trial.place
  const { forbidden, allowed, family } = trial
  const finding = (what: string, detail: string, problem?: string): ProofFinding => ({
    network,
    what: `IPv${family}, network ${network}: ${what}`,
    passed: problem === undefined,
    detail,
    problem: problem === undefined ? undefined : `${problem} (IPv${family})`,
  })
  const skip = (what: string, why: string): ProofFinding => ({ ...finding(what, why), skipped: true })
  const sightingOf = (role: Role): Sighting =>
    seen.get(sent.find((one) => one.role === role)?.probe.id ?? '') ?? NOTHING
  const findings: ProofFinding[] = []
  if (forbidden) {
    const sighting = sightingOf('forbidden')
    findings.push(
      finding(
        `forbidden ${say(forbidden)} is stopped by the rules`,
        tell(sighting),
        wrongWithForbidden(sighting),
      ),
    )
  } else findings.push(skip('forbidden traffic', 'nothing that was tried is forbidden there'))
  for (const { role } of sent) {
    if (!isWay(role)) continue
    const sighting = sightingOf(role)
    const { words, wrong } = WAYS[role]
    findings.push(finding(words, tell(sighting), sighting.sent === 0 ? NOT_SENT : wrong(sighting)))
  }
  if (!allowed) {
    const reply = sightingOf('reply')
    findings.push(
      skip('allowed traffic', 'nothing is allowed there'),
      reply.sent > 0 && reply.behindRules === 0
        ? skip(
            'the backstop',
            'nothing that is not forbidden gets as far: the host has no route, or others stop it',
          )
        : finding(
            'a reply without approval is stopped by the backstop',
            tell(reply),
            wrongWithDisapproved(reply),
          ),
    )
    return findings
  }
  const passing = sightingOf('allowed')
  if (passing.sent > 0 && passing.behindRules === 0 && !(await hasRoute(run, trial, allowed))) {
    const why = 'the host has no route there, so nothing is forwarded'
    return [...findings, skip('allowed traffic', why), skip('the backstop', why)]
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
async function hasRoute(
  run: Run,
  { source, place }: ProofTrial,
  { destination }: ProbeTarget,
): Promise<boolean> {
  const { exitCode } = await run(['ip', 'route', 'get', destination, 'from', source, 'iif', place.bridge], {
    okExitCodes: [1, 2],
  })
  return exitCode === 0
}

const say = ({ destination, port, protocol }: ProbeTarget): string =>
  `${destination} port ${port}/${protocol}`

const tell = ({ sent, behindRules, approved, atUplink }: Sighting): string =>
  sent === 0
    ? 'it could not be sent'
    : `${sent} sent, ${behindRules} behind the rules, ${approved} approved, ${atUplink} at the uplink`
