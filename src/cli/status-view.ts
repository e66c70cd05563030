import type { StatusReport } from '../control/status.ts'
import { sanitise } from '../observe/sanitise.ts'
import { renderTable } from './table.ts'
import { formatAgo, formatBytes, formatCount, formatSpan } from './units.ts'

export interface StatusViewOptions {
  readonly nowMs: number
  readonly color: boolean
}

/** The report for people: first what is wrong, then what is guarded, then what is not. */
export function renderStatus(report: StatusReport, options: StatusViewOptions): string {
  const { nowMs } = options
  const sections: [title: string, body: string][] = [
    ['problems', bullets(report.problems)],
    ['guards', guards(report)],
    ['networks', networks(report)],
    ['policies', policies(report)],
    ['containers', containers(report)],
    ['resolvers', resolvers(report)],
    ['dns gateway', dns(report)],
    ['temporary', temporary(report, nowMs)],
    ['names', names(report, nowMs)],
    ['counters', counters(report)],
    ['drift', drift(report, nowMs)],
    ['not protected', unprotected(report)],
    ['own name servers', strayDns(report)],
    ['leaving by another network', strayRoutes(report)],
    ['notes', bullets(report.notes)],
  ]
  return [
    headline(report, options),
    summary(report, options),
    ...sections
      .filter(([, body]) => body !== '')
      .map(([title, body]) => `\n${heading(title, options)}\n${body}`),
  ].join('')
}

/** The first line, where something is wrong: the worst of it in words. */
const headline = ({ headline: text, daemon }: StatusReport, { color }: StatusViewOptions): string =>
  text === 'healthy' ? '' : `${paint(sanitise(text), daemon === 'running' ? 33 : 31, color)}\n`

function summary(report: StatusReport, { nowMs, color }: StatusViewOptions): string {
  const { config, docker, backend } = report
  const state = report.daemon === 'running' ? report.health : report.daemon.replace('-', ' ')
  const code = state === 'healthy' ? 32 : state === 'degraded' ? 33 : 31
  const process = [
    report.pid === undefined ? '' : `pid ${report.pid}`,
    report.startedAtMs === undefined ? '' : `up ${formatSpan(nowMs - report.startedAtMs)}`,
  ].filter(Boolean)
  const loaded = config.loadedAtMs === undefined ? '' : `, loaded ${formatAgo(config.loadedAtMs, nowMs)}`
  const refused = config.lastReloadSuccessful
    ? ''
    : '; the file as it is now was REFUSED, the previous one is in force'
  const onTrial =
    config.confirmUntilMs === undefined
      ? ''
      : `; on trial for ${formatSpan(Math.max(0, config.confirmUntilMs - nowMs))} more: \`embargod confirm\` keeps it`
  const engine = docker.connected
    ? 'connected'
    : `not connected${docker.error === undefined ? '' : `: ${docker.error}`}`
  const lines: [string, string][] = [
    ['config', `${config.file}${loaded}${refused}${onTrial}`],
    ['docker', `${engine} (engine ${backend.engine}, iptables ${backend.flavour})`],
    ['last pass', stamp(report.lastReconcile, nowMs, ({ outcome }) => outcome)],
    ['verified', stamp(report.lastVerified, nowMs, ({ passed }) => (passed ? 'passed' : 'FAILED'))],
  ]
  const title = `embargod ${sanitise(report.version)}: ${paint(state, code, color)}`
  return `${title}${process.length === 0 ? '' : ` (${process.join(', ')})`}\n${lines
    .map(([name, value]) => `  ${`${name}:`.padEnd(11)} ${sanitise(value)}\n`)
    .join('')}`
}

const stamp = <T extends { readonly atMs: number }>(
  event: T | undefined | null,
  nowMs: number,
  word: (event: T) => string,
): string =>
  event === null ? UNKNOWN : event === undefined ? 'never' : `${word(event)}, ${formatAgo(event.atMs, nowMs)}`

const guards = ({ guards }: StatusReport): string =>
  guards.length === 0
    ? ''
    : renderTable(
        ['guard', 'enforcing', 'detail'],
        guards.map(({ guard, enforcing, detail }) => [guard, enforcing ? 'yes' : 'NO', detail]),
      )

const networks = ({ networks }: StatusReport): string =>
  networks.length === 0
    ? ''
    : renderTable(
        ['network', 'bridge', 'guarded', 'denied packets', 'why'],
        networks.map(({ name, bridge, guarded, deniedPackets, why }) => [
          name,
          bridge,
          guarded ? 'yes' : 'NO',
          deniedPackets === null ? '?' : formatCount(deniedPackets),
          why,
        ]),
      )

const policies = ({ policies }: StatusReport): string =>
  policies.length === 0
    ? ''
    : renderTable(
        ['policy', 'entries', 'IPv4', 'IPv6'],
        policies.map(({ policy, entries, addresses }) => [
          policy,
          formatCount(entries),
          formatCount(addresses.ipv4),
          formatCount(addresses.ipv6),
        ]),
      )

function dns({ dns: gateway }: StatusReport): string {
  if (!gateway) return ''
  const { port, cacheEntries, upstreams, outcomes } = gateway
  const asked = Object.entries(outcomes ?? {}).filter(([, count]) => count > 0)
  const lines: [string, string][] = [
    ['listens', `port ${port}; packets of containers to port 53 are redirected to it`],
    [
      'asks',
      upstreams === null
        ? UNKNOWN
        : upstreams.map(({ server, up }) => `${server}${up ? '' : ' (NO ANSWER)'}`).join(', ') || 'NOBODY',
    ],
    ['cache', cacheEntries === null ? UNKNOWN : `${formatCount(cacheEntries)} answers`],
    [
      'questions',
      outcomes === null
        ? UNKNOWN
        : asked.map(([outcome, count]) => `${formatCount(count)} ${outcome}`).join(', ') || 'none yet',
    ],
  ]
  return lines.map(([name, value]) => `  ${`${name}:`.padEnd(11)} ${sanitise(value)}\n`).join('')
}

const containers = ({ containers }: StatusReport): string =>
  containers.length === 0
    ? ''
    : renderTable(
        ['container', 'network', 'rights', 'by', 'held'],
        containers.map(({ container, network, rights, matched, bound, byNetwork }) => [
          container,
          network,
          rights.join(' ') || 'none',
          matched.map(({ policy, why }) => `${policy}: ${why}`).join(', '),
          bound === undefined
            ? 'not running'
            : byNetwork
              ? 'by its network alone'
              : bound
                ? 'yes'
                : 'NO: as unknown',
        ]),
      )

const temporary = ({ temporary }: StatusReport, nowMs: number): string =>
  temporary.length === 0
    ? ''
    : renderTable(
        ['entry', 'remaining', 'until'],
        temporary.map(({ entry, untilMs }) => [
          entry,
          formatSpan(untilMs - nowMs),
          new Date(untilMs).toISOString(),
        ]),
      )

/** Shown for what only the daemon knows, while it does not answer. */
const UNKNOWN = 'unknown'

/** One line for each address; the facts about the name itself are on its first line. */
function names({ names, daemon }: StatusReport, nowMs: number): string {
  if (names.length === 0) return ''
  const never = daemon === 'running' ? 'never' : '?'
  const rows = names.flatMap(
    ({ name, state, addresses, lastSuccessMs, lastError, refused, overCap, untilMs }) => {
      const notes = [
        untilMs === undefined ? '' : `allowed until ${new Date(untilMs).toISOString()}`,
        lastError === undefined ? '' : lastError,
        refused.length === 0 ? '' : `refused ${refused.join(', ')}`,
        overCap > 0 ? `${overCap} had no room (resolver.maxAddressesPerName)` : '',
      ].filter(Boolean)
      const about = [name, state, lastSuccessMs === undefined ? never : formatAgo(lastSuccessMs, nowMs)]
      const held = addresses.map(({ address, seenAtMs, expiresAtMs }) => [
        address,
        formatSpan(nowMs - seenAtMs),
        expiresAtMs > nowMs ? formatSpan(expiresAtMs - nowMs) : 'kept',
      ])
      return (held.length === 0 ? [['-', '', '']] : held).map((cells, index) =>
        index === 0 ? [...about, ...cells, notes.join('; ')] : ['', '', '', ...cells, ''],
      )
    },
  )
  return renderTable(['name', 'state', 'answered', 'address', 'age', 'remaining', 'note'], rows)
}

/** Only rules that give a verdict are listed; `embargod rules` lists the others too. */
const VERDICTS = new Set(['allow', 'drop', 'reject'])

function counters({ counters }: StatusReport): string {
  const counted = counters.filter(({ packets, action }) => packets > 0 && VERDICTS.has(action))
  if (counted.length === 0) return ''
  return renderTable(
    ['policy', 'rule', 'action', 'family', 'packets', 'bytes'],
    counted.map(({ policy, rule, action, family, packets, bytes }) => [
      policy,
      rule,
      action,
      family,
      formatCount(packets),
      formatBytes(bytes),
    ]),
  )
}

function drift({ drift }: StatusReport, nowMs: number): string {
  if (drift.repairs === null) return `${UNKNOWN}: the daemon counts repairs, and does not answer\n`
  const repairs = Object.entries(drift.repairs).filter(([, count]) => count > 0)
  if (repairs.length === 0) return ''
  const { lastRepairMs } = drift
  const last = typeof lastRepairMs !== 'number' ? '' : `last repair ${formatAgo(lastRepairMs, nowMs)}\n`
  return renderTable(
    ['put right', 'times'],
    repairs.map(([kind, count]) => [kind, formatCount(count)]),
  ).concat(last)
}

const unprotected = ({ unprotected }: StatusReport): string =>
  unprotected.length === 0
    ? ''
    : renderTable(
        ['reason', 'subject', 'what to do'],
        unprotected.map(({ reason, subject, advice }) => [
          reason,
          subject === '' ? 'this host' : subject,
          advice,
        ]),
      )

const resolvers = ({ resolvers }: StatusReport): string =>
  resolvers.length === 0
    ? ''
    : renderTable(
        ['containers may ask', 'named by'],
        resolvers.map(({ server, origin }) => [server, origin]),
      )

const strayDns = ({ strayDns }: StatusReport): string =>
  strayDns.length === 0
    ? ''
    : renderTable(
        ['container', 'its servers, denied', 'what to do'],
        strayDns.map(({ container, servers }) => [
          container,
          servers.join(' '),
          'Remove its --dns, or add the servers to dns.servers.',
        ]),
      )

const strayRoutes = ({ strayRoutes }: StatusReport): string =>
  strayRoutes.length === 0
    ? ''
    : renderTable(
        ['container', 'leaves by', 'and so lacks', 'what to do'],
        strayRoutes.map(({ container, network, lost }) => [
          container,
          network,
          lost.map((one) => `${one.policy} (${one.network})`).join(', '),
          'Match it by its name or label, or make the other network its default route (gw_priority).',
        ]),
      )

const bullets = (lines: readonly string[]): string => lines.map((line) => `- ${sanitise(line)}\n`).join('')

const heading = (title: string, { color }: StatusViewOptions): string => paint(title.toUpperCase(), 1, color)

const paint = (text: string, code: number, color: boolean): string =>
  color ? `\x1b[${code}m${text}\x1b[0m` : text
