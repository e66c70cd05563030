import { parseTarget } from './entry-text.ts'
import type { AllowTarget, Problem } from './model.ts'
import { problemAt, type SourcePosition, type SourceText } from './source.ts'

/** So many bad lines are named; a file of another kind given by mistake has a million. */
const MAX_PROBLEMS = 100

/** A list file: a name, address or network a line; `#` starts a comment; blank lines are nothing. */
export function readList(source: SourceText): {
  readonly targets: readonly { readonly target: AllowTarget; readonly place: SourcePosition }[]
  readonly problems: readonly Problem[]
} {
  const targets: { target: AllowTarget; place: SourcePosition }[] = []
  const problems: Problem[] = []
  let offset = 0
  for (const line of source.text.split('\n')) {
    const content = line.replace(/#.*$/s, '')
    const text = content.trim()
    const place = { source, offset: offset + content.length - content.trimStart().length }
    offset += line.length + 1
    if (text === '') continue
    const parsed = parseTarget(text)
    if ('target' in parsed) targets.push({ target: parsed.target, place })
    else problems.push(problemAt(place, withHint(text, parsed.reason)))
    if (problems.length < MAX_PROBLEMS) continue
    problems.push(problemAt(place, 'too many faults: the rest of the file was not read'))
    break
  }
  return { targets, problems }
}

const withHint = (text: string, reason: string): string => {
  if (/\s/.test(text)) return `${reason}; one name, address or network stands in a line`
  return /:(\d|any)[^:]*$/.test(text) ? `${reason}; ports stand in the entry that names this file` : reason
}
