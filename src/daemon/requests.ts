import { hostConfigEnv } from '../config/env.ts'
import { judgeEntry } from '../config/entry-rules.ts'
import { loadConfig } from '../config/load.ts'
import type { AllowEntry } from '../config/model.ts'
import { ControlError } from '../control/error.ts'
import type { ControlHandlers } from '../control/server.ts'
import {
  allowRequest,
  gatewayVerdictRequest,
  addressOwnersRequest,
  liveAddressesRequest,
  planRequest,
  reloadRequest,
  verifiedRequest,
  type AllowAnswer,
  type GatewayVerdict,
  type ConfirmAnswer,
  type PlanAnswer,
} from '../control/protocol.ts'
import type { StatusReport } from '../control/status.ts'
import { planChange } from '../host/plan-change.ts'
import * as saved from '../state/formats.ts'
import { parseAddress } from '../net/address.ts'
import { parseHostname } from '../net/hostname.ts'
import { coversPort } from '../net/ports.ts'
import type { Address, Hostname } from '../net/types.ts'
import { compile } from '../policy/compile.ts'
import { answerPolicyOf } from './askers.ts'
import type { World } from './compose.ts'
import type { PolicySwitch } from './policy-switch.ts'
import { viewOf } from './view.ts'

/** What the commands of the control socket work with. */
export interface Served {
  readonly world: World
  readonly policySwitch: PolicySwitch
  /** Ends the process as SIGTERM does. */
  readonly requestStop: () => void
}

/** How many names with an address, and how many addresses of each, are listed for a person. */
const MOST_OWNERS = 10

/** Answers the requests of the control socket. */
export function requestHandlers(served: Served): ControlHandlers {
  const { world, policySwitch, requestStop } = served
  const { addressStore } = world.names
  return {
    status: async () => status(served),
    reload: (body) => policySwitch.reload(reloadRequest.parse(body ?? {}).confirmMs),
    confirm: () => confirm(served),
    allow: (body) => allow(served, body),
    plan: (body) => plan(world, planRequest.parse(body).config),
    held: async (body) => addressStore.liveAddresses(liveAddressesRequest.parse(body).name as Hostname),
    belongings: async (body) =>
      addressStore
        .belongings(addressOwnersRequest.parse(body).address as Address)
        .slice(0, MOST_OWNERS)
        .map((one) => ({ ...one, now: one.now.slice(0, MOST_OWNERS) })),
    answers: async (body) => answers(world, body),
    docker: async () => world.desired.config.docker,
    verified: async (body) => world.telemetry.verified(verifiedRequest.parse(body)),
    stop: async () => {
      // After the answer has left.
      setImmediate(requestStop)
      return {}
    },
  }
}

function status({ world, policySwitch }: Served): StatusReport {
  const { telemetry, holder, startedAtMs, temporary } = world
  return telemetry.status(viewOf(world), {
    startedAtMs,
    config: {
      file: holder.file,
      loadedAtMs: holder.loadedAtMs,
      lastReloadSuccessful: holder.lastLoadSuccessful,
      confirmUntilMs: policySwitch.untilMs,
    },
    temporary: temporary.list(),
  })
}

async function confirm({ world, policySwitch }: Served): Promise<ConfirmAnswer> {
  const { holder, store } = world
  const confirmed = await policySwitch.confirm()
  if (confirmed) refuseUnlessInForce(world)
  const unsaved = confirmed ? holder.unsaved(store) : undefined
  return { confirmed, ...(unsaved === undefined ? {} : { unsaved }) }
}

function answers({ desired, host }: World, body: unknown): GatewayVerdict {
  const { name: asked, source, protocol, port } = gatewayVerdictRequest.parse(body)
  const parsed = parseHostname(asked)
  const name = 'hostname' in parsed ? parsed.hostname : asked
  if (!desired.config.dns.gateway) return null
  const answering = answerPolicyOf(desired, host.inventory)
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
  const { world, policySwitch } = served
  const { temporary, store, log } = world
  const request = allowRequest.parse(body)
  const { gateway } = world.desired.config.dns
  if (request.action === 'add') temporary.add(request.entry, Date.now() + request.forMs, gateway)
  if (request.action === 'revoke') temporary.revoke(request.entry)
  if (request.action !== 'list') {
    const list = temporary.list()
    // A revoked entry must not come back after a restart, even if other entries are lost with it.
    if (request.action === 'revoke') await store.replace('temporary', list, saved.savedTemporary)
    else await store.save('temporary', list, saved.savedTemporary)
    await policySwitch.enforceTemporary()
    log.warn({ action: request.action, entry: request.entry }, 'temporary allow')
    refuseUnlessInForce(world)
  }
  const unsaved = request.action === 'list' ? undefined : store.problemOf('temporary')
  return {
    temporary: temporary.list(),
    notWorking: request.action === 'add' ? whatFailsOf(served, temporary.parsedOf(request.entry)) : [],
    ...(unsaved === undefined ? {} : { unsaved }),
  }
}

/** What does not work of these entries: rules of the config that stand against them, and names without an address. */
function whatFailsOf({ world, policySwitch }: Served, entries: readonly AllowEntry[]): readonly string[] {
  const { metadata, never, dns } = world.desired.config
  const around = { metadata, never, gateway: dns.gateway, nowMs: Date.now() }
  const names = entries.flatMap(({ target }) => (target.kind === 'domain' ? [target.name] : []))
  return [
    ...entries.flatMap((entry) => judgeEntry(entry, around)).map(({ message }) => message),
    ...policySwitch.failingNames(new Set(names)),
  ]
}

/** Success is only reported when the kernel holds the change. */
function refuseUnlessInForce({ health }: World): void {
  const detail = health.enforcementFailure
  if (detail !== undefined)
    throw new ControlError(`it is noted, and the kernel does not hold it yet: ${detail}`, 1)
}

/** Plans for the given config file, which may not be the one in force. */
async function plan(
  { temporary, names, host, firewall, loop, drivers, refresher }: World,
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
    // On a copy, since numbers that a plan gives to classes are not in use.
    classNumbers: refresher.classNumbers.copy(),
  }
  return { problems, changes: await loop.exclusively('a plan', () => planChange(planInput, drivers, nowMs)) }
}
