import { judgeEntry } from './entry-rules.ts'
import { entrySchema, readEntry } from './entry.ts'
import { explainIssue, problemsOf } from './issues.ts'
import type { AllowEntry } from './model.ts'
import { makeSource } from './source.ts'
import { toPlain } from './tree.ts'
import { readYaml } from './yaml.ts'

/**
 * One entry as typed on a command line: shorthand (`api.example.com:443`), or a YAML map (`{domain: db.example, ports: [5432/tcp]}`).
 * Held to the same rules as an entry of the file; only list files are not for here. `where` says where it came from.
 * @param gateway is there a DNS gateway, which wildcards take?
 */
export function parseEntry(
  text: string,
  where: string,
  gateway: boolean,
): { readonly entries: readonly AllowEntry[] } | { readonly reasons: readonly string[] } {
  const trimmed = text.trim()
  const written = trimmed.startsWith('{') ? trimmed : JSON.stringify(trimmed)
  const yaml = readYaml(makeSource(where, written))
  if (yaml.tree === undefined || yaml.problems.length > 0)
    return { reasons: yaml.problems.map(({ message }) => message) }
  const parsed = entrySchema.safeParse(toPlain(yaml.tree), { error: explainIssue })
  if (!parsed.success)
    return { reasons: problemsOf(parsed.error.issues, yaml.tree).problems.map(({ message }) => message) }
  const read = readEntry(parsed.data)
  if (read.file !== undefined)
    return { reasons: ['a list file belongs into the config: name the targets here'] }
  const entries = read.targets.map(({ target }): AllowEntry => ({ target, ...read.terms, where }))
  const around = { metadata: { block: true, extra: [] }, never: [], gateway, nowMs: 0 }
  const errors = entries
    .flatMap((entry) => judgeEntry(entry, around))
    .filter(({ severity }) => severity === 'error')
  return errors.length > 0 ? { reasons: errors.map(({ message }) => message) } : { entries }
}
