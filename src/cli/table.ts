import { sanitise } from '../observe/sanitise.ts'

/** What goes right: numbers. */
const NUMERIC = /^-?[\d,]+(\.\d+)?( [KMGT]?i?B)?$/

/** Columns aligned with two spaces between, cells made safe for a terminal; a column of numbers stands right. Ends with a line break. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const body = rows.map((row) => head.map((_, index) => sanitise(row[index] ?? '')))
  const columns = head.map((title, index) => ({
    width: Math.max(widthOf(title), ...body.map((row) => widthOf(row[index] ?? ''))),
    right: body.length > 0 && body.every((row) => NUMERIC.test(row[index] ?? '') || row[index] === ''),
  }))
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ width, right }, index) => {
        const cell = cells[index] ?? ''
        const padding = ' '.repeat(width - widthOf(cell))
        return right ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  return [head.map((title) => title.toUpperCase()), ...body].map((cells) => `${line(cells)}\n`).join('')
}

const widthOf = (text: string): number => Array.from(text).length
