import type { Finding } from './figure.ts'
import { inTurns, resultsOf } from './rounds.ts'
import { median, ratios, told } from './spread.ts'
import { withTrafficHosts, type TrafficHost } from './traffic-hosts.ts'

export interface TrafficFigure {
  readonly unit: string
  readonly digits: number
  /** Of what goes through without a filter. */
  readonly reach: number
  /** Of what goes through 5,000 hand-made rules. */
  readonly reachRules: number
  readonly rounds: number
  readonly turn: (host: TrafficHost) => Promise<number>
}

/** The same traffic through every way of filtering. */
export function compareTraffic({
  unit,
  digits,
  reach,
  reachRules,
  rounds,
  turn,
}: TrafficFigure): Promise<Finding[]> {
  return withTrafficHosts(async (hosts) => {
    const results = await inTurns(
      hosts.map((host) => ({ name: host.name, turn: () => turn(host) })),
      rounds,
    )
    const of = (name: TrafficHost['name']): readonly number[] => resultsOf(results, name)
    const [few, many] = [of('embargod, 10'), of('embargod, 100,000')]
    const compared = (what: string, shares: readonly number[], least: number, sign: '≥' | '>'): Finding => ({
      what,
      measured: told(shares, '', 3),
      reach: `${sign} ${least.toFixed(2)}`,
      met: sign === '≥' ? median(shares) >= least : median(shares) > least,
    })
    return [
      ...hosts.map(({ name }) => ({ what: name, measured: told(of(name), unit, digits) })),
      compared('10 addresses : no filter', ratios(few, of('no filter')), reach, '≥'),
      ...(hosts.some(({ name }) => name === 'embargod before, 10')
        ? [compared('10 addresses : before', ratios(few, of('embargod before, 10')), 0.97, '≥')]
        : []),
      compared('100,000 addresses : no filter', ratios(many, of('no filter')), reach, '≥'),
      compared('100,000 addresses : 10 addresses', ratios(many, few), reach, '≥'),
      compared('100,000 addresses : 5,000 rules', ratios(many, of('5,000 rules')), reachRules, '≥'),
      compared('100,000 addresses : nginx stream proxy', ratios(many, of('nginx stream proxy')), 1, '>'),
    ]
  })
}
