import { cidrTest } from '../net/cidr.ts'
import { bytesOf } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import type { AnswerPolicy, Asker } from '../gateway/model.ts'
import { COMMON } from '../policy/compile.ts'
import { NameTable } from '../policy/name-table.ts'
import type { Policies } from '../policy/model.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { Inventory } from '../workloads/model.ts'
import { namespaceChain } from '../workloads/namespace-chain.ts'

/** Runtimes that run containers on the host's own kernel. Others (gVisor, Kata) have network stacks of their own. */
const KERNEL_SHARING: ReadonlySet<string> = new Set(['runc', 'crun', 'io.containerd.runc.v2'])

/** The rules by which the gateway answers. An address tells the asker, since the bridges let through no forged source. */
export function answerPolicyOf(
  { config, policies, hostFacts }: Desired,
  inventory: Inventory | undefined,
): AnswerPolicy {
  const { plan, rights } = hostFacts
  const askers = new Map<Address, Asker>()
  const sharedOpen = mailsAnyone(config.smtp) || opensInternet(policies, [COMMON])
  const sharing = sharingKernel(inventory)
  /** Of several containers that claim an address, all have to. */
  const shares = (id: string, address: Address): boolean =>
    sharing.has(id) && (askers.get(address)?.sharesKernel ?? true)
  const common = (name: string, shares = false): Asker => ({
    name,
    policies: [COMMON],
    anyName: sharedOpen,
    sharesKernel: shares,
  })
  if (rights) {
    const classes = new Map(rights.classes.map((one) => [one.id, one]))
    const claims = new Map<Address, number | undefined>()
    const disputed = new Set<Address>()
    for (const { container, addresses, class: id } of rights.members) {
      const own = id === undefined ? undefined : classes.get(id)
      for (const address of addresses) {
        // An address that two containers claim has no rights, unless both have the same.
        if (claims.has(address) && claims.get(address) !== id) disputed.add(address)
        if (disputed.has(address)) askers.delete(address)
        else if (own)
          askers.set(address, {
            name: container.name,
            policies: own.policies,
            anyName: mailsAnyone(own.smtp) || opensInternet(policies, own.policies),
            sharesKernel: shares(container.id, address),
          })
        claims.set(address, id)
      }
    }
  } else
    for (const { id, name, endpoints } of inventory?.containers ?? [])
      for (const address of endpoints.flatMap(({ addresses }) => addresses))
        askers.set(address, common(name, shares(id, address)))
  const isGuarded = anyOf(plan.guarded.flatMap(({ subnets }) => subnets))
  const unknown = rights?.unknown === 'deny' ? undefined : common('unknown')
  const holdNewMs = rights ? config.guard.holdNewMs : 0
  return {
    config: config.dns,
    names: namesOf(policies),
    askerWaitMs: holdNewMs,
    askerState: (source) =>
      holdNewMs > 0 && !askers.has(source) && (!inventory || isGuarded(source)) ? 'unknown' : 'settled',
    // Before the engine has answered no subnet is known. The rules let through only what was redirected here from a guarded bridge.
    askerOf: (source) =>
      askers.get(source) ?? (unknown && (!inventory || isGuarded(source)) ? unknown : undefined),
  }
}

/** Containers in whose network namespaces only this host's kernel reads packets: neither they themselves nor others that joined them there bring a network stack of their own. */
function sharingKernel(inventory: Inventory | undefined): ReadonlySet<string> {
  const containers = inventory?.containers ?? []
  const sharing = new Set(containers.filter(({ runtime }) => KERNEL_SHARING.has(runtime)).map(({ id }) => id))
  for (const container of containers)
    if (!KERNEL_SHARING.has(container.runtime))
      for (const { id } of namespaceChain(container, containers)) sharing.delete(id)
  return sharing
}

/** The table is the same as long as the policies are, and with it what containers learned from answers. */
function namesOf(policies: Policies): NameTable {
  const table = tables.get(policies) ?? new NameTable(policies.policies)
  tables.set(policies, table)
  return table
}

const tables = new WeakMap<Policies, NameTable>()

const mailsAnyone = (smtp: { readonly destinations: 'allowed' | 'any' } | undefined): boolean =>
  smtp?.destinations === 'any'

const opensInternet = ({ policies }: Policies, ids: readonly string[]): boolean =>
  policies.some(({ id, internet }) => internet.length > 0 && ids.includes(id))

function anyOf(cidrs: Parameters<typeof cidrTest>[0][]): (address: Address) => boolean {
  const tests = cidrs.map((cidr) => cidrTest(cidr))
  return (address) => {
    const bytes = bytesOf(address)
    return tests.some((test) => test(bytes))
  }
}
