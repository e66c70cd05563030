import type { Outcome } from './run.ts'

const HEAD = ['attack', 'seat', 'engine', 'sent', 'arrived without the guard', 'arrived']

/** The table for a terminal, and below it what got through and what could not be tried. */
export function asText(outcomes: readonly Outcome[]): string {
  const rows = [HEAD, ...outcomes.map((one) => cells(one, one.attack.name))]
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const faults = outcomes.flatMap(({ attack, engine, faults }) =>
    faults.map((fault) => `${attack.name} on ${engine}: ${fault}`),
  )
  return [...lines, '', ...faults, ''].join('\n')
}

/** docs/attacks.md */
export function asMarkdown(
  outcomes: readonly Outcome[],
  facts: readonly (readonly [string, string])[],
  command: string,
): string {
  return [
    '# Attacks',
    '',
    `Made by \`${command}\`. Each attack is played twice on a real engine and kernel: without the guard, where it has to work, and with it, where`,
    'nothing may arrive. The packets carry a secret and are counted where they would arrive: at the far end of the uplink, at a service of the host, or',
    'at an interface of the attacker. The seats are those of [threat-model.md](threat-model.md).',
    '',
    row(['machine', '']),
    row(['---', '---']),
    ...facts.map((fact) => row(fact)),
    '',
    row(HEAD),
    row(HEAD.map(() => '---')),
    ...outcomes.map((one) => row(cells(one, `${one.attack.name}: ${one.attack.words}`))),
    '',
    ...[...new Set(outcomes.map(({ attack }) => attack))].flatMap(({ name, remains }) =>
      remains === undefined
        ? []
        : [`- ${name}: zero is out of reach; ${remains}. Arrivals are counted and not judged.`],
    ),
    '',
  ].join('\n')
}

function cells(outcome: Outcome, title: string): readonly string[] {
  const { attack, engine, control, guarded, impossible, faults } = outcome
  if (impossible) return [title, attack.seat, engine, '-', 'not on this kernel', '-']
  return [
    faults.length > 0 ? `${title} (!)` : title,
    attack.seat,
    engine,
    String(guarded?.sent ?? '-'),
    String(control?.arrived ?? '-'),
    String(guarded?.arrived ?? '-'),
  ]
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
