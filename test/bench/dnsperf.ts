import type { Argv } from '../lab/box.ts'
import type { Lab } from '../lab/lab.ts'

/** Whom a client asks. */
export interface AskedServer {
  readonly address: string
  readonly port: number
}

/** The network of a container that asks. */
export type DnsClient = Argv

export async function dnsClients(lab: Lab, count: number, network?: string): Promise<DnsClient[]> {
  const clients: DnsClient[] = []
  for (let index = 0; index < count; index++) {
    const container = await lab.container(network === undefined ? {} : { network })
    clients.push(['nsenter', `--net=/proc/${await container.pid()}/ns/net`])
  }
  return clients
}

export interface DnsperfOptions {
  readonly client: DnsClient
  readonly server: AskedServer
  /** A file of questions, a line each. */
  readonly questions: string
  /** Its end; else that of the questions. */
  readonly seconds?: number
  /** True: each question once. False: from the first one on again, until the time is over. */
  readonly once: boolean
  readonly onTheWay: number
  /** That the questions leave by, in turn; one, if nothing is said. */
  readonly sockets?: number
  readonly aSecond?: number
}

export interface DnsperfResult {
  /** Questions that got what they asked for. */
  readonly answered: number
  readonly seconds: number
  /** Of each answer, in ms. */
  readonly delaysMs: readonly number[]
}

/** What is lost is waited for as long. */
const LOST_AFTER_SECONDS = 1

/** @throws when more than one question of a hundred was lost: then it is a limit that was measured. */
export async function dnsperf(lab: Lab, options: DnsperfOptions): Promise<DnsperfResult> {
  const { client, server, questions, seconds, once, onTheWay, sockets, aSecond } = options
  const flags = {
    '-s': server.address,
    '-p': server.port,
    '-d': questions,
    '-q': onTheWay,
    '-c': sockets,
    '-t': LOST_AFTER_SECONDS,
    '-l': seconds,
    '-n': once ? 1 : undefined,
    '-Q': aSecond,
  }
  const given = Object.entries(flags).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, String(value)],
  )
  // Who asks one at a time does it for the sake of how long each takes.
  const argv: Argv = [...client, 'dnsperf', ...given, ...(onTheWay === 1 ? ['-v'] : [])]
  const { stdout } = await lab.host(argv, { timeoutMs: 300_000 })
  const numberOf = (line: RegExp): number => Number(line.exec(stdout)?.[1] ?? 0)
  const sent = numberOf(/Queries sent: +(\d+)/)
  const answered = numberOf(/Response codes: .*NOERROR (\d+)/)
  const lost = numberOf(/Queries lost: +(\d+)/)
  if (answered === 0 || lost > sent / 100) throw new Error(`questions were lost: ${stdout.slice(-1000)}`)
  const delaysMs = [...stdout.matchAll(/^> NOERROR .* ([\d.]+)$/gm)].map(([, delay]) => Number(delay) * 1000)
  return { answered, seconds: numberOf(/Run time \(s\): +([\d.]+)/), delaysMs }
}
