import { KernelAdmission } from '../../src/daemon/admission.ts'
import { Membership } from '../../src/dataplane/membership.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { openAddressStore } from '../../src/state/open-address-store.ts'
import type { KnownSet } from '../../src/targets/ipset/known.ts'
import type { Address, Hostname } from '../../src/net/types.ts'
import { NameTable } from '../../src/policy/name-table.ts'
import { compile } from '../../src/policy/compile.ts'
import type { Desired } from '../../src/reconcile/desired.ts'
import { FastPath } from '../../src/targets/ipset/fast-path.ts'
import { configOf } from '../support/builders.ts'
import { question, replyOf, record, TO_QUESTION, type Asking } from '../unit/gateway/messages.ts'
import { NOW_MS } from '../unit/config/files.ts'

/** The gateway, the addresses and the way to a kernel that takes everything at once, in this process. */
export async function gatewayWorld(yaml: string) {
  const config = await configOf(`dns: { gateway: true }\n${yaml}`)
  const policies = compile(config, [], NOW_MS)
  const addressStore = openAddressStore(config, policies)
  const membership = new Membership()
  membership.rebuild(policies, new Map(), (name) => addressStore.liveAddresses(name))
  const known = new Map<string, KnownSet>()
  const setsOf = (name: Hostname): string[] =>
    ([4, 6] as const).flatMap((family) => membership.setsOf(name, family, false))
  for (const name of [...policies.names.keys(), ...policies.patterns.keys()])
    for (const set of setsOf(name))
      if (!known.has(set)) known.set(set, { elements: new Map() } as unknown as KnownSet)
  const fastPath = new FastPath({ known, write: async () => undefined })
  const admission = new KernelAdmission({
    addressStore,
    isHostAddress: () => false,
    desired: { membership, config } as unknown as Desired,
    fastPath,
    onChange: () => undefined,
    onFull: () => undefined,
    onIncluded: () => undefined,
    onFailure: () => undefined,
  })
  let answer: (asked: { readonly name: string }) => Buffer = () => Buffer.alloc(0)
  const gateway = new Gateway({
    upstream: { ask: (asked, done) => done(answer(asked)) },
    admission,
    policy: {
      config: { ...config.dns, ratePerContainer: { count: 1_000_000, per: 'second' } },
      names: new NameTable(policies.policies),
      askerOf: () => ({ name: 'web', policies: ['common'], anyName: false, sharesKernel: false }),
      askerState: () => 'settled',
      askerWaitMs: 0,
    },
    onQuery: () => undefined,
    onFault: (error) => {
      throw error
    },
  })
  return {
    addressStore,
    membership,
    policies,
    says: (of: typeof answer) => (answer = of),
    ask: (asking: Asking) =>
      new Promise<Buffer>((resolve) => gateway.handle(question(asking), '172.18.0.2', false, resolve)),
  }
}

export const addressOf = (index: number): Address =>
  `${20 + ((index >> 16) & 127)}.${(index >> 8) & 255}.${index & 255}.1` as Address

/** An upstream's answer of so many addresses. */
export const answerOf = (name: string, first: number, count: number): Buffer =>
  replyOf(name, 1, {
    answers: Array.from({ length: count }, (_, index) =>
      record(
        TO_QUESTION,
        1,
        Buffer.from(
          addressOf(first + index)
            .split('.')
            .map(Number),
        ),
        { ttl: 300 },
      ),
    ),
  })
