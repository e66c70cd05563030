import type { Desired } from '../reconcile/desired.ts'
import { wantsHold } from '../reconcile/host-facts.ts'
import type { Fight } from '../reconcile/fight.ts'
import type { Trigger } from '../reconcile/loop.ts'
import { errorChain } from '../system/errors.ts'
import { publishRights, type World } from './compose.ts'
import { PassRecord } from './pass-record.ts'
import type { PolicySwitch } from './policy-switch.ts'
import type { HoldWish } from './start-hold.ts'
import { viewOf } from './view.ts'

/**
 * One pass: refresh what is known of the host, compute what is desired, have the kernel hold it, publish the result, persist what a restart needs.
 * Rejects when the kernel is not as desired.
 */
export async function runPass(
  world: World,
  policySwitch: PolicySwitch,
  triggers: ReadonlySet<Trigger>,
): Promise<void> {
  const { clock, refresher, desired, host, names, startHold, gateway, readPlan, firewall } = world
  const { drivers, telemetry, persister, loop, serviceStatus } = world
  const { addressStore } = names
  const record = new PassRecord(triggers)
  const nowMs = Date.now()
  try {
    if (clock.happened) policySwitch.recompile()
    await refresher.refresh(desired, triggers)
    record.stepDone('refresh')

    desired.setStartHold(startHold.prepare(holdWish(desired)))
    addressStore.expire(desired.policies.patterns.keys(), nowMs)
    desired.refreshNames(addressStore.takeChanged())
    gateway.prepare(desired, host.inventory)
    record.stepDone('desired')

    const { known } = firewall.keepers.sets
    const { maxStaleMs } = desired.config.resolver
    const scope = readPlan.scope(triggers, drivers.iptables.flavour, known, maxStaleMs, record.startedMs)
    const result = await firewall.pass(scope, nowMs)
    record.reconciled(scope, result)

    refresher.setCanBind(!firewall.keepers.bindings.isUnsupported)
    publishRights(world)
    startHold.begin()
    readPlan.wasRead(scope, record.startedMs)
    telemetry.passed(result, triggers, desired, known, host)
    lookAgain(result.fight, world)
    record.stepDone('publish')

    loop.at('the disk that holds the state')
    await persister.persist(result)
    record.stepDone('persist')
  } catch (error) {
    const why = errorChain(error)
    // The next pass writes the rules without the queue.
    if (why.includes('NFQUEUE') && startHold.giveUp(why)) loop.request('retry')
    telemetry.failed(error, triggers)
    throw error
  } finally {
    telemetry.ended(record)
    if (record.isWorthReport) telemetry.report(viewOf(world))
    serviceStatus.feedWatchdog()
  }
}

const holdWish = ({ config, hostFacts }: Desired): HoldWish => ({
  isWanted: wantsHold(config, hostFacts),
  holdMs: config.guard.holdNewMs,
  mark: config.guard.mark,
})

/** When another program insists on the place of our jump, a later pass puts it back. */
function lookAgain(fight: Fight | undefined, { jumpTimer, suspect }: World): void {
  if (fight?.waitMs === undefined) return
  jumpTimer.set(fight.waitMs, () => {
    for (const family of fight.families) suspect(family)
  })
}
