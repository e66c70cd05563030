import type { Figure, Finding } from './figure.ts'

export interface Measured {
  readonly figure: Figure
  readonly findings: readonly Finding[]
}

export function asText({ figure, findings }: Measured): string {
  const width = Math.max(...findings.map(({ what }) => what.length))
  const lines = findings.map(
    ({ what, measured, reach, met }) =>
      `  ${what.padEnd(width)}  ${measured}${reach === undefined ? '' : `   reach ${reach}: ${met ? 'yes' : 'NO'}`}`,
  )
  return `${figure.title}\n${lines.join('\n')}\n`
}

/** docs/benchmarks.md */
export function asMarkdown(
  measured: readonly Measured[],
  facts: readonly (readonly [string, string])[],
  command: string,
): string {
  return [
    '# Benchmarks',
    '',
    `Made by \`${command}\`: a real engine and kernel, contestants in turns, one ratio a round.`,
    'Numbers are medians; in brackets the tenth and the ninetieth percentile. *Reach* is the goal of a figure, followed by whether it is met.',
    '',
    table(['machine', ''], facts),
    ...measured.flatMap(({ figure, findings }) => [
      `## ${figure.title}`,
      '',
      figure.method,
      '',
      table(
        ['what', 'measured', 'reach', ''],
        findings.map(({ what, measured: value, reach, met }) => [
          what,
          value,
          reach ?? '',
          met === undefined ? '' : met ? 'yes' : 'no',
        ]),
      ),
    ]),
  ].join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}
