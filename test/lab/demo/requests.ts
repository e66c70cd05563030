import type { LabContainer } from '../container.ts'
import type { Lab } from '../lab.ts'
import type { Outcome } from './screen.ts'

export interface Request {
  readonly family?: 4 | 6
  /** How long a dropped request waits. */
  readonly seconds?: number
}

interface Reply {
  /** curl's: 0 answered, 7 refused, 28 nothing came in time. */
  readonly code: number
  readonly from: string
  readonly status: string
  readonly tookMs: number
}

/** One request from inside a container, timed there. */
export async function request(from: LabContainer, url: string, options: Request = {}): Promise<Reply> {
  const { family, seconds = 2 } = options
  const { code, stdout } = await from.exec([
    'curl',
    ...(family === undefined ? [] : [`-${family}`]),
    '-sgo/dev/null',
    '--max-time',
    String(seconds),
    '-w%{http_code} %{remote_ip} %{time_total}',
    url,
  ])
  const [status = '', address = '', time = '0'] = stdout.trim().split(' ')
  // Without a connection there is no address, and the time takes its place.
  return { code, status, from: address, tookMs: Number(time || address) * 1000 }
}

/** Right when the page comes, and comes from there. */
export async function reaches(
  from: LabContainer,
  url: string,
  address: string,
  options: Request = {},
): Promise<Outcome> {
  const reply = await request(from, url, { seconds: 5, ...options })
  const ok = reply.code === 0 && reply.status === '200' && reply.from === address
  return { ok, back: say(reply), tookMs: reply.tookMs }
}

/** Right when no page comes and not one packet arrives there; `refused` asks for an answer at once, too. */
export async function isDenied(
  lab: Lab,
  from: LabContainer,
  url: string,
  addresses: readonly string[],
  how: 'refused' | 'dropped',
  options: Request = {},
): Promise<Outcome> {
  const before = await arrived(lab, addresses)
  const reply = await request(from, url, options)
  const packets = (await arrived(lab, addresses)) - before
  return {
    ok: reply.code === (how === 'refused' ? 7 : 28) && packets === 0,
    back: `${say(reply)}; ${count(packets, 'packet')} got out`,
    tookMs: reply.tookMs,
  }
}

/** Packets that the far end has counted for these addresses, all told. */
export async function arrived(lab: Lab, addresses: readonly string[]): Promise<number> {
  const counts = await Promise.all(addresses.map((address) => lab.farEnd.count(address)))
  return counts.reduce((sum, packets) => sum + packets, 0)
}

export const say = ({ code, from, status }: Reply): string =>
  code === 0 ? `${status} from ${from}` : (CURL[code] ?? `curl failed with ${code}`)

export const count = (number: number, noun: string): string =>
  `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`

const CURL: Readonly<Record<number, string>> = { 6: 'no such name', 7: 'refused', 28: 'no answer' }
