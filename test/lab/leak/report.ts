import type { Reading } from './meter.ts'
import type { Measured } from './run.ts'

const HEAD = [
  'disturbance',
  'engine',
  'leaked v4 / v6',
  'of',
  'failed',
  'late',
  'of',
  'whole again',
  'a script leaks',
  'no guard leaks',
]

/** The table for a terminal, and below it what is wrong. */
export function asText(measured: readonly Measured[]): string {
  const rows = [HEAD, ...measured.map((one) => cells(one, one.disturbance.name))]
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const faults = measured.flatMap(({ disturbance, engine, faults }) =>
    faults.map((fault) => `${disturbance.name} on ${engine}: ${fault}`),
  )
  return [...lines, '', ...faults, ''].join('\n')
}

/** docs/leaks.md */
export function asMarkdown(
  measured: readonly Measured[],
  facts: readonly (readonly [string, string])[],
  command: string,
): string {
  const notes = new Map(measured.map(({ disturbance }) => [disturbance.words, disturbance]))
  return [
    '# Leaks',
    '',
    `Made by \`${command}\`. On a real engine and kernel, containers on the default bridge, on a network of its own and on one with a`,
    'bridge of a custom name flood what is forbidden, in IPv4 and IPv6: UDP and SYN, each packet from a fresh source port, and every odd packet',
    'of the packet test. Others fetch an allowed name, 20 times a second on each of two networks in each family. Meanwhile the host is',
    'disturbed. *Leaked* is counted where the packets would arrive; *of* is what was sent. *Failed* are allowed requests without an answer',
    'after 3 s, or refused, and connections that stayed and were cut; *late* are those answered after a second, on the second SYN. *Whole again* is how long after the disturbance our rules, sets and backstop were seen to stand as before:',
    'looking alone takes some 50 ms, and more on a busy machine. The last two columns repeat the disturbance for comparison, at 2,500 and 2,000',
    'packets a second: *a script* is the same policy written by hand into DOCKER-USER, *no guard* is a host where no network is guarded.',
    '',
    row(['machine', '']),
    row(['---', '---']),
    ...facts.map((fact) => row(fact)),
    '',
    row(HEAD),
    row(HEAD.map(() => '---')),
    ...measured.map((one) => row(cells(one, one.disturbance.words))),
    '',
    ...[...notes.values()].flatMap(({ words, cuts, window }) => [
      ...(cuts === undefined ? [] : [`- ${words}: ${cuts}. Failed requests are counted and not judged.`]),
      ...(window === undefined
        ? []
        : [`- ${words}: zero is out of reach; at most ${window.ms} ms of the flood may pass.`]),
    ]),
    '',
  ].join('\n')
}

function cells({ engine, readings, faults }: Measured, title: string): readonly string[] {
  const { embargod: guarded, nobody, script } = readings
  const leaked = (reading: Reading | undefined) =>
    reading ? `${reading.leaked.ipv4} / ${reading.leaked.ipv6}` : '-'
  return [
    faults.length > 0 ? `${title} (!)` : title,
    engine,
    leaked(guarded),
    guarded ? String(guarded.sent.ipv4 + guarded.sent.ipv6) : '',
    guarded ? String(guarded.requests.failed) : '',
    guarded ? String(guarded.requests.late) : '',
    guarded ? String(guarded.requests.fetched + guarded.requests.failed) : '',
    guarded ? `${Math.round(guarded.wholeMs)} ms` : '',
    leaked(script),
    leaked(nobody),
  ]
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
