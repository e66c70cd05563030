import { median } from './flat.ts'
import type { Soaked } from './soak.ts'

type Row = readonly [what: string, value: string]

/** What was measured, one line each. */
export function rowsOf({
  seconds,
  steps,
  actions,
  tally,
  settledMs,
  series,
  unguarded,
  samples,
}: Soaked): readonly Row[] {
  const made = [...actions.values()].reduce((sum, count) => sum + count, 0)
  const last = samples.at(-1)
  return [
    ['time', `${(seconds / 60).toFixed(1)} min`],
    ['steps', `${steps}, with ${made} things done, of ${actions.size} kinds`],
    ['forbidden packets sent', String(tally.sent)],
    ['forbidden packets that arrived', String(tally.leaked)],
    ['arrived in some seconds without guard, before and after', `${unguarded.before} and ${unguarded.after}`],
    ['allowed requests answered', String(tally.fetched)],
    [
      'allowed requests failed',
      `${tally.failed - tally.cut - tally.starved}, and ${tally.cut} in steps that cut by themselves, ${tally.starved} while more than five programs a core wanted to run`,
    ],
    [
      'kernel as planned after a step',
      `${inSeconds(median(settledMs))}, at most ${inSeconds(Math.max(0, ...settledMs))}`,
    ],
    ['counters watched', `${series} series`],
    ['chains and sets at the last sample', last ? `${last.chains} and ${last.sets}` : 'no sample'],
  ]
}

export function asText(soaked: Soaked): string {
  const rows: readonly Row[] = [
    ...rowsOf(soaked),
    ...(soaked.trends ?? []).map(({ what, early, late, limit, flat }): Row => [
      what,
      `${early.toFixed(1)} then ${late.toFixed(1)}, allowed ${limit}: ${flat ? 'flat' : 'NOT FLAT'}`,
    ]),
    ...(soaked.trends ? [] : [['growth', 'too few samples of one process to tell'] as const]),
  ]
  const width = Math.max(...rows.map(([what]) => what.length))
  return [...rows.map(([what, value]) => `${what.padEnd(width)}  ${value}`), '', ...soaked.faults, ''].join(
    '\n',
  )
}

/** docs/soak.md */
export function asMarkdown(soaked: Soaked, facts: readonly Row[], command: string): string {
  return [
    '# Soak',
    '',
    `Made by \`${command}\`. On a real engine and kernel, networks and containers come and go, DNS answers change, the config is reloaded, good and`,
    'bad, rules and sets are flushed, the engine is restarted and killed: one to three of these a step, drawn from the seed. Containers on three',
    'networks flood what is forbidden all the time, in IPv4 and IPv6, and others fetch an allowed name 20 times a second each. After each step',
    '`embargod plan` has to say that there is nothing to do, no counter may have fallen, no forbidden packet may have arrived, and no allowed request',
    'may have failed. Steps that take the network or the allowed addresses away themselves are excepted, and moments in which more than five programs a core wanted to run',
    '(an answer has 3 s). The daemon is replaced in the first fifth only, so the growth is that of one process: medians of the second quarter against',
    'those of the last. For what comes and goes with every pass, the lowest of ten samples counts.',
    '',
    table(['machine', ''], facts),
    table(['what', 'measured'], rowsOf(soaked)),
    table(
      ['growth', 'second quarter', 'last quarter', 'allowed', ''],
      (soaked.trends ?? []).map(({ what, early, late, limit, flat }) => [
        what,
        early.toFixed(1),
        late.toFixed(1),
        limit,
        flat ? 'flat' : 'not flat',
      ]),
    ),
    table(
      ['what was done', 'times'],
      [...soaked.actions]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, count]) => [name, String(count)]),
    ),
    ...(soaked.faults.length === 0
      ? []
      : ['## Faults', '', ...soaked.faults.map((fault) => `- ${fault.split('\n')[0]}`), '']),
  ]
    .join('\n')
    .replace(/\n+$/, '\n')
}

const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}
