const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION =
  /^(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?$/

/** `100ms`, `30s`, `5m`, `1h`, `1d`, or larger before smaller: `1h30m`. Milliseconds. */
export function parseDuration(text: string): { readonly ms: number } | { readonly reason: string } {
  const match = DURATION.exec(text)
  if (text === '' || match === null)
    return { reason: `"${text}" is no duration: write 30s, 5m, 1h, 1d or 1h30m` }
  const [, d, h, m, s, ms] = match
  return {
    ms: Object.entries({ d, h, m, s, ms }).reduce(
      (sum, [unit, n]) => sum + Number(n ?? 0) * (UNIT_MS[unit] ?? 0),
      0,
    ),
  }
}

/** The shortest text that parses back, in whole seconds: 5400000 is `1h30m`. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms / 1000) * 1000
  const parts = (['d', 'h', 'm', 's'] as const).map((unit) => {
    const size = UNIT_MS[unit] ?? 1
    const count = Math.floor(rest / size)
    rest -= count * size
    return count === 0 ? '' : `${count}${unit}`
  })
  return parts.join('') || '0s'
}
