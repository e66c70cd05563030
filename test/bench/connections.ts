import type { Figure } from './figure.ts'
import { compareTraffic } from './traffic.ts'
import { SERVER, type TrafficHost } from './traffic-hosts.ts'

export const connections: Figure = {
  name: 'connections',
  title: 'New connections a second',
  method:
    'wrk with one thread, 32 connections at a time, each closed after one request. The wanted address stands in the middle of the 5,000 rules.',
  measure: ({ rounds, seconds }) =>
    compareTraffic({
      unit: '/s',
      digits: 0,
      reach: 0.9,
      reachRules: 1,
      rounds,
      turn: (host) => connectionsOf(host, seconds),
    }),
}

/** New connections a second. */
export async function connectionsOf(
  { client, target }: Pick<TrafficHost, 'client' | 'target'>,
  seconds: number,
): Promise<number> {
  const argv = ['wrk', '-t1', '-c32', `-d${seconds}s`, '-H', 'Connection: close']
  const { stdout, stderr, code } = await client.exec([...argv, `http://${target}:${SERVER.webPort}/`], {
    timeoutMs: (seconds + 20) * 1000,
  })
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]
  const errors = /Socket errors: connect (\d+), read \d+, write \d+, timeout (\d+)/.exec(stdout)
  if (code !== 0 || rate === undefined) throw new Error(`wrk ended with ${code}: ${stdout}${stderr}`)
  if (Number(errors?.[1] ?? 0) + Number(errors?.[2] ?? 0) > 0) throw new Error(`wrk failed: ${stdout}`)
  return Number(rate)
}
