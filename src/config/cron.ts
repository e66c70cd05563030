import { createTask, validate } from 'node-cron'

const YEAR_MS = 366 * 86_400_000
/** So many days in a row show every gap: what fires on this many days of one year fires in each. */
const LOOK_AHEAD = 12

/** A cron expression of five or six fields that fires at least once a year. */
export function parseCron(
  text: string,
  nowMs = Date.now(),
): { readonly cron: string } | { readonly reason: string } {
  const fields = text.trim().split(/\s+/)
  if (fields.length !== 5 && fields.length !== 6) {
    return {
      reason: `"${text}" is no cron expression: it has five fields (minute hour day month weekday), or six with seconds first`,
    }
  }
  const [day, month, weekday] = fields.slice(-3)
  if (validate(fields.join(' '))) {
    return firesYearly(`0 0 ${day} ${month} ${weekday}`, nowMs)
      ? { cron: fields.join(' ') }
      : { reason: `"${text}" does not fire every year: no such day, or too rare a one` }
  }
  const anyDay = [...fields.slice(0, -3), '*', '*', '*'].join(' ')
  const impossible = validate(anyDay) && validate(`0 0 ${day} * *`) && validate(`0 0 * ${month} ${weekday}`)
  return {
    reason: impossible
      ? `"${text}" never fires: that month has no such day`
      : `"${text}" is no cron expression: minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7; lists, ranges and */n`,
  }
}

function firesYearly(dateExpression: string, nowMs: number): boolean {
  const task = createTask(dateExpression, () => {}, { timezone: 'UTC' })
  const days = task.getNextRuns(LOOK_AHEAD).map((date) => date.getTime())
  void task.destroy()
  return days.length > 0 && days.every((day, i) => day - (days[i - 1] ?? nowMs) <= YEAR_MS)
}
