/** The value below which this part of all values lies (nearest rank). */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new Error('nothing was measured')
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** `1.23 s (1.20-1.31)`: median, tenth and ninetieth percentile. */
export function told(values: readonly number[], unit: string, digits = 2): string {
  const [low, middle, high] = [0.1, 0.5, 0.9].map((part) => format(quantile(values, part), digits))
  return `${middle}${unit === '' ? '' : ` ${unit}`} (${low}-${high})`
}

/** One ratio a round: what slows the machine for a while slows both turns of a round alike. */
export function ratios(of: readonly number[], to: readonly number[]): number[] {
  if (of.length !== to.length) throw new Error('rounds are missing')
  return of.map((value, round) => value / (to[round] ?? Number.NaN))
}

const format = (value: number, digits: number): string =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
