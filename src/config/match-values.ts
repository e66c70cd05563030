import type { PolicyMatch } from './model.ts'
import type { Refused } from './parsed.ts'

const COMPOSE = /^([a-z0-9][a-z0-9_-]*)(?:\/([A-Za-z0-9][A-Za-z0-9._-]*))?$/
const LABEL = /^([^=\s]+)=(.*)$/s
const NAME_PATTERN = /^[A-Za-z0-9_.*?-]{1,255}$/

/** `shop`, or `shop/web`: the names are compose's own grammar. */
export function parseCompose(
  text: string,
): { readonly compose: NonNullable<PolicyMatch['compose']> } | Refused {
  const [, project, service] = COMPOSE.exec(text) ?? []
  if (project === undefined)
    return { reason: `"${text}" is no compose project: write project, or project/service` }
  return { compose: { project, service } }
}

export function parseLabel(text: string): { readonly label: NonNullable<PolicyMatch['label']> } | Refused {
  const [, key, value] = LABEL.exec(text) ?? []
  if (key === undefined || value === undefined)
    return { reason: `"${text}" is no label: write key=value, and key= for an empty one` }
  return { label: { key, value } }
}

export function parseNamePattern(text: string): { readonly pattern: string } | Refused {
  if (NAME_PATTERN.test(text)) return { pattern: text }
  return { reason: `"${text}" is no container name: letters, digits, _ . - and * ? for what may vary` }
}
