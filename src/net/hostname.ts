import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import type { Hostname } from './types.ts'

const ASCII_LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/
const WRITTEN_LABEL = /^[\p{L}\p{N}_]([\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}_])?$/u
/** A last label that URL parsers, `inet_aton` and so some clients take for a part of an address. */
const NUMERIC_LABEL = /^([0-9]+|0x[0-9a-f]*)$/

/**
 * The one parser of names: any case, IDNA, one trailing dot allowed, underscores allowed within labels (service names have them).
 * Checked by our own pattern first: `domainToASCII` turns `127.1` into `127.0.0.1` and cuts `a/b` down to `a`.
 */
export function parseHostname(text: string): { readonly hostname: Hostname } | { readonly reason: string } {
  const written = text.endsWith('.') ? text.slice(0, -1) : text
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text
  if (written === '') return { reason: 'the name is empty' }
  if (written.length > 1000) return { reason: `"${shown}" is longer than 253 characters` }
  if (isIP(written) !== 0) return { reason: `"${shown}" is an address, not a host name` }
  if (written.includes('*')) return { reason: `"${shown}" is a wildcard, not a name` }
  for (const label of written.split('.')) {
    const reason = faultOfLabel(label)
    if (reason !== undefined) return { reason: `"${shown}" is not a host name: ${reason}` }
  }
  const numeric = { reason: `"${shown}" is not a host name: it reads as an address, but is not one` }
  if (endsInNumber(written.toLowerCase())) return numeric
  const ascii = domainToASCII(written).toLowerCase()
  if (ascii === '') return { reason: `"${shown}" is not a host name: its spelling is not valid IDNA` }
  const labels = ascii.split('.')
  if (endsInNumber(ascii)) return numeric
  if (labels.length < 2)
    return { reason: `"${shown}" is a single label: write the full name, like host.example.com` }
  if (ascii.length > 253) return { reason: `"${shown}" is longer than 253 characters` }
  if (labels.some((label) => label.length > 63))
    return { reason: `"${shown}" has a label longer than 63 characters` }
  if (!labels.every((label) => ASCII_LABEL.test(label))) return { reason: `"${shown}" is not a host name` }
  return { hostname: ascii as Hostname }
}

const endsInNumber = (name: string): boolean => NUMERIC_LABEL.test(name.slice(name.lastIndexOf('.') + 1))

function faultOfLabel(label: string): string | undefined {
  if (label === '') return 'it has an empty label (two dots in a row, or one at its start)'
  if (label.startsWith('-') || label.endsWith('-'))
    return `the label "${label.slice(0, 63)}" starts or ends with a hyphen`
  if (WRITTEN_LABEL.test(label)) return undefined
  return 'only letters, digits, hyphens and underscores may stand in a label'
}
