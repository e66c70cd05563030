import { decode, type Answer } from 'dns-packet'
import { Gateway } from '../../../src/gateway/gateway.ts'
import type { Upstream } from '../../../src/gateway/resolve.ts'
import type { Admission, AnswerPolicy, Asker, GivenAddress, QueryReport } from '../../../src/gateway/model.ts'
import { parsePorts } from '../../../src/net/ports.ts'
import type { Address } from '../../../src/net/types.ts'
import type { Policy } from '../../../src/policy/model.ts'
import { NameTable } from '../../../src/policy/name-table.ts'
import { question, reply, type Asking, type Telling } from './messages.ts'

export const WEB = '172.18.0.2'
export const SHOP = '172.18.0.3'
export const STRANGER = '172.18.0.9'

/** Names and patterns by policy. */
export const namesOf = (
  lists: Readonly<Record<string, readonly string[]>>,
  ports: string | readonly string[] = 'any',
): NameTable => {
  const parsed = parsePorts(ports)
  if ('reason' in parsed) throw new Error(parsed.reason)
  return new NameTable(
    Object.entries(lists).map(([id, names]) => ({
      id,
      groups: [{ ports: parsed.ports, names: new Map(names.map((name) => [name, false])) }],
    })) as unknown as Policy[],
  )
}

export const NAMES = namesOf({
  web: ['a.example.com', 'b.example.com'],
  shop: ['*.example.com'],
})

const CONFIG: AnswerPolicy['config'] = {
  gateway: true,
  upstreams: [],
  denied: 'refused',
  log: 'denied',
  maxHoldMs: 60_000,
  minTtlMs: 0,
  maxTtlMs: 86_400_000,
  port: 53,
  ratePerContainer: { count: 1_000_000, per: 'second' },
}

export const asker = (name: string, policies: readonly string[], anyName = false): Asker => ({
  name,
  policies,
  anyName,
  sharesKernel: false,
})

export function answering({
  config = {},
  names = NAMES,
  askers = { [WEB]: asker('web', ['web']), [SHOP]: asker('shop', ['shop']) },
}: {
  readonly config?: Partial<AnswerPolicy['config']>
  readonly names?: NameTable
  readonly askers?: Readonly<Record<string, Asker>>
} = {}): AnswerPolicy {
  return {
    config: { ...CONFIG, ...config },
    names,
    askerOf: (source) => askers[source],
    askerState: () => 'settled',
    askerWaitMs: 0,
  }
}

type Asked = Parameters<Upstream['ask']>[0]

/** What was answered to one question. */
export interface Answered {
  readonly messages: Buffer[]
  readonly rcode: string | undefined
  readonly addresses: readonly string[]
  readonly ttls: readonly number[]
}

/** A gateway between an upstream and a kernel that do as they are told. */
export class TestGateway {
  readonly asked: Asked[] = []
  readonly admitted: { as: readonly string[]; addresses: readonly string[]; ttlsMs: readonly number[] }[] = []
  readonly reports: QueryReport[] = []
  readonly gateway: Gateway
  nowMs = 1_000_000
  /** No test meets one unawares. */
  onFault: (error: unknown) => void = (error) => {
    throw error
  }
  upstream: (asked: Asked) => Buffer | Promise<Buffer> = () => reply([])
  kernel: Admission['admit'] = () => ({ refused: new Set(), done: undefined })

  constructor(by: AnswerPolicy = answering()) {
    this.gateway = new Gateway({
      upstream: {
        ask: (asked, tell) => {
          this.asked.push(asked)
          const answer = async (): Promise<Buffer> => this.upstream(asked)
          void answer().then(tell, tell)
        },
      },
      admission: {
        admit: (as, addresses: readonly GivenAddress[], asker) => {
          this.admitted.push({
            as,
            addresses: addresses.map(({ address }) => address),
            ttlsMs: addresses.map(({ ttlMs }) => ttlMs),
          })
          return this.kernel(as, addresses, asker)
        },
      },
      policy: by,
      onQuery: (report) => this.reports.push(report),
      onFault: (error) => this.onFault(error),
      nowMs: () => this.nowMs,
    })
  }

  get outcomes(): string[] {
    return this.reports.map(({ outcome }) => outcome)
  }

  /** From now on the upstream says this. */
  says(answers: readonly Answer[], telling: Telling = {}): void {
    const message = reply(answers, telling)
    this.upstream = () => message
  }

  /** Asks without waiting. */
  send(from: string, message: Buffer, isUdp = true): Answered {
    const messages: Buffer[] = []
    this.gateway.handle(message, from, isUdp, (answer) => messages.push(answer))
    return {
      messages,
      get rcode() {
        return messages[0] && (decode(messages[0]) as { rcode?: string }).rcode
      },
      get addresses() {
        return recordsOf(messages[0]).flatMap(({ type, data }) =>
          type === 'A' || type === 'AAAA' ? [String(data)] : [],
        )
      },
      get ttls() {
        return recordsOf(messages[0]).map(({ ttl }) => ttl)
      },
    }
  }

  /** Asks, and waits until all happened that happens without a clock. */
  async ask(from: string, asking: Asking = {}): Promise<Answered> {
    const answered = this.send(from, question(asking))
    await turns()
    return answered
  }
}

export const turns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const recordsOf = (message: Buffer | undefined) =>
  (message ? (decode(message).answers ?? []) : []) as { type: string; ttl: number; data: unknown }[]

export const refusing =
  (...addresses: string[]): Admission['admit'] =>
  () => ({ refused: new Set(addresses as Address[]), done: undefined })

/** A promise with its ends. */
export function deferred<T = void>() {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
