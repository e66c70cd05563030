import type { Problem } from './model.ts'

/** The text of one file, with the lines and columns of it. */
export interface SourceText {
  readonly file: string
  readonly text: string
  /** 1-based line and column (in UTF-16 units) of an offset into the text. */
  position(offset: number): { readonly line: number; readonly column: number }
}

/** A place in the text of a file. */
export interface SourcePosition {
  readonly source: SourceText
  readonly offset: number
}

export function makeSource(file: string, text: string): SourceText {
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  return {
    file,
    text,
    position(offset) {
      let low = 0
      let high = lineStarts.length - 1
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if ((lineStarts[middle] ?? 0) <= offset) low = middle
        else high = middle - 1
      }
      return { line: low + 1, column: offset - (lineStarts[low] ?? 0) + 1 }
    },
  }
}

export function problemAt(
  place: SourcePosition,
  message: string,
  severity: Problem['severity'] = 'error',
): Problem {
  return { severity, ...placed(place), message }
}

/** A place without the text around it. */
export const placed = ({ source, offset }: SourcePosition): Pick<Problem, 'file' | 'line' | 'column'> => ({
  file: source.file,
  ...source.position(offset),
})

/** `file:line:col` of a place. */
export function whereOf(place: SourcePosition): string {
  const { line, column } = place.source.position(place.offset)
  return `${place.source.file}:${line}:${column}`
}
