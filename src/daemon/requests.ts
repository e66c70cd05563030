import { hostConfigEnv } from '../config/env.ts'
import { judgeEntry } from '../config/entry-rules.ts'
import { loadConfig } from '../config/load.ts'
import type { AllowEntry } from '../config/model.ts'
import { ControlError } from '../control/error.ts'
import type { ControlHandlers } from '../control/server.ts'
import {
  allowRequest,
  answersRequest,
  belongingsRequest,
  heldRequest,
  planRequest,
  reloadRequest,
  verifiedRequest,
  type AllowAnswer,
  type AnswersAnswer,
  type ConfirmAnswer,
  type PlanAnswer,
  type ReloadAnswer,
} from '../control/protocol.ts'
import type { StatusReport } from '../control/status.ts'
import type { HostDrivers } from '../host/drivers.ts'
import type { HostView } from '../host/host-view.ts'
import { planChange } from '../host/plan-change.ts'
import type { View } from '../status/report.ts'
import * as saved from '../state/formats.ts'
import type { TemporaryAllows } from '../state/temporary.ts'
import { parseAddress } from '../net/address.ts'
import { parseHostname } from '../net/hostname.ts'
import { coversPort } from '../net/ports.ts'
import type { Address, Hostname } from '../net/types.ts'
import type { Logger } from '../observe/logger.ts'
import type { ClassNumbers } from '../policy/class-numbers.ts'
import { compile } from '../policy/compile.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { Firewall } from '../reconcile/firewall.ts'
import type { Loop } from '../reconcile/loop.ts'
import type { Telemetry } from './telemetry.ts'
import { answeringOf } from './askers.ts'
import type { ConfigHolder } from './config-holder.ts'
import type { ConfigSwitch } from './config-switch.ts'
import type { NameResolution } from './name-resolution.ts'
import type { Store } from './store.ts'

/** What of the daemon its commands reach. */
export interface Served {
  readonly account: Telemetry
  readonly holder: ConfigHolder
  readonly temporary: TemporaryAllows
  readonly drivers: HostDrivers
  readonly host: HostView
  readonly classNumbers: ClassNumbers
  readonly loop: Loop
  readonly log: Logger
  readonly startedAtMs: number
  /** Built with the first config, which is there before anybody can ask. */
  readonly store: Store
  readonly names: NameResolution
  readonly desired: Desired
  readonly firewall: Firewall
  readonly view: () => View
  /** @param confirmMs how long the new config is on trial; undefined: it is not */
  readonly reload: (confirmMs: number | undefined) => Promise<ReloadAnswer>
  readonly configSwitch: ConfigSwitch
  /** Takes over what is allowed for a while now, and resolves when it is in force. */
  readonly enforceTemporary: () => Promise<void>
  /** Why the kernel is not as desired; undefined: it is. */
  readonly failure: () => string | undefined
  /** What of these names does not work, in sentences. */
  readonly failingNames: (names: ReadonlySet<Hostname>) => readonly string[]
  /** Ends the process as SIGTERM does. */
  readonly requestStop: () => void
}

/** A person reads them. */
const MOST_BELONGINGS = 10

/** The answers to what comes by the control socket. */
export const requestHandlers = (served: Served): ControlHandlers => ({
  status: async () => status(served),
  reload: (body) => served.reload(reloadRequest.parse(body ?? {}).confirmMs),
  confirm: async (): Promise<ConfirmAnswer> => {
    const confirmed = await served.configSwitch.confirm(served.store)
    if (confirmed) refuseUnlessInForce(served)
    const unsaved = confirmed ? served.holder.unsaved(served.store) : undefined
    return { confirmed, ...(unsaved === undefined ? {} : { unsaved }) }
  },
  allow: (body) => allow(served, body),
  plan: (body) => plan(served, planRequest.parse(body).config),
  held: async (body) => served.names.addressStore.liveAddresses(heldRequest.parse(body).name as Hostname),
  belongings: async (body) =>
    served.names.addressStore
      .belongings(belongingsRequest.parse(body).address as Address)
      .slice(0, MOST_BELONGINGS)
      .map((one) => ({ ...one, now: one.now.slice(0, MOST_BELONGINGS) })),
  answers: async (body) => answers(served, body),
  docker: async () => served.desired.config.docker,
  verified: async (body) => served.account.verified(verifiedRequest.parse(body)),
  stop: async () => {
    // After the answer has left.
    setImmediate(() => served.requestStop())
    return {}
  },
})

function status({ account, holder, startedAtMs, temporary, configSwitch, view }: Served): StatusReport {
  return account.status(view(), {
    startedAtMs,
    config: {
      file: holder.file,
      loadedAtMs: holder.loadedAtMs,
      lastReloadSuccessful: holder.lastLoadSuccessful,
      confirmUntilMs: configSwitch.untilMs,
    },
    temporary: temporary.list(),
  })
}

function answers({ desired, host }: Served, body: unknown): AnswersAnswer {
  const { name: asked, source, protocol, port } = answersRequest.parse(body)
  const parsed = parseHostname(asked)
  const name = 'hostname' in parsed ? parsed.hostname : asked
  if (!desired.config.dns.gateway) return null
  const answering = answeringOf(desired, host.inventory)
  const address = source === undefined ? undefined : parseAddress(source)
  const asker = answering.askerOf(address ?? NOBODY)
  const grants = answering.names.match(name).filter(({ policy }) => asker?.policies.includes(policy))
  const [grant] = grants
  const opensPort = grants.some(({ policy, as }) =>
    desired.policies.policies.some(
      ({ id, groups }) =>
        id === policy &&
        groups.some(({ names, ports }) => names.has(as) && coversPort(ports, protocol, port)),
    ),
  )
  return {
    answered: grant !== undefined || asker?.anyName === true,
    by: grant && { policy: grant.policy, as: grant.as, opensPort },
  }
}

/** An address that no container has. */
const NOBODY = '0.0.0.0' as Address

async function allow(served: Served, body: unknown): Promise<AllowAnswer> {
  const { temporary, store, log } = served
  const request = allowRequest.parse(body)
  const { gateway } = served.desired.config.dns
  if (request.action === 'add') temporary.add(request.entry, Date.now() + request.forMs, gateway)
  if (request.action === 'revoke') temporary.revoke(request.entry)
  if (request.action !== 'list') {
    const list = temporary.list()
    // What was revoked must not come back after a restart, whatever else is lost with it.
    if (request.action === 'revoke') await store.replace('temporary', list, saved.savedTemporary)
    else await store.save('temporary', list, saved.savedTemporary)
    await served.enforceTemporary()
    log.warn({ action: request.action, entry: request.entry }, 'temporary allow')
    refuseUnlessInForce(served)
  }
  const unsaved = request.action === 'list' ? undefined : store.problemOf('temporary')
  return {
    temporary: temporary.list(),
    notWorking: request.action === 'add' ? whatFailsOf(served, temporary.parsedOf(request.entry)) : [],
    ...(unsaved === undefined ? {} : { unsaved }),
  }
}

/** What the rest of the config makes of these entries, and names that have no address. */
function whatFailsOf({ desired, failingNames }: Served, entries: readonly AllowEntry[]): readonly string[] {
  const { metadata, never, dns } = desired.config
  const around = { metadata, never, gateway: dns.gateway, nowMs: Date.now() }
  const names = entries.flatMap(({ target }) => (target.kind === 'domain' ? [target.name] : []))
  return [
    ...entries.flatMap((entry) => judgeEntry(entry, around)).map(({ message }) => message),
    ...failingNames(new Set(names)),
  ]
}

/** Whoever is told that it is done relies on the kernel. */
function refuseUnlessInForce({ failure }: Served): void {
  const detail = failure()
  if (detail !== undefined)
    throw new ControlError(`it is noted, and the kernel does not hold it yet: ${detail}`, 1)
}

/** For a file that may not be the one in force. */
async function plan(
  { temporary, names, host, firewall, loop, drivers, classNumbers }: Served,
  file: string,
): Promise<PlanAnswer> {
  const { config, problems } = await loadConfig(file, hostConfigEnv)
  if (!config) return { problems }
  const nowMs = Date.now()
  const policies = compile(config, temporary.entries(), nowMs)
  const planInput = {
    config,
    policies,
    addressStore: names.addressStore,
    host,
    generation: firewall.generation,
    // Numbers that the plan would give away are nobody's yet.
    classNumbers: classNumbers.copy(),
  }
  return { problems, changes: await loop.exclusively('a plan', () => planChange(planInput, drivers, nowMs)) }
}
