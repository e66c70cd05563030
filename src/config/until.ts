const DATE = /^(\d{4})-(\d{2})-(\d{2})$/
const DATE_TIME =
  /^(\d{4}-\d{2}-\d{2})[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d{1,9})?)?(Z|z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$/

/** `2027-01-31` is the end of that day in UTC; `2027-01-31T18:00:00+02:00` is that moment, in UTC when no offset is given. */
export function parseUntil(text: string): { readonly untilMs: number } | { readonly reason: string } {
  const reason = `"${text}" is no date: write 2027-01-31 (to the end of that day, UTC) or 2027-01-31T18:00:00Z`
  const moment = DATE_TIME.exec(text)
  const midnightMs = midnightOf(moment?.[1] ?? text)
  if (midnightMs === undefined) return { reason }
  if (moment === null) return { untilMs: midnightMs + 86_400_000 }
  const [, , hours, minutes, seconds, zone] = moment
  const clockMs = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds ?? 0)) * 1000
  return { untilMs: midnightMs + clockMs - offsetMs(zone) }
}

function midnightOf(date: string): number | undefined {
  const match = DATE.exec(date)
  if (match === null) return undefined
  const ms = Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]))
  return new Date(ms).toISOString().startsWith(date) ? ms : undefined // 02-30 would be 03-02
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || zone.toUpperCase() === 'Z') return 0
  const digits = zone.replace(':', '')
  const minutes = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5))
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000
}
